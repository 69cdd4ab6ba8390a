/** `error`: devices cannot be handed over, or the host would be harmed. `warning`: it works worse, or not as it was meant. */
export type FindingLevel = 'ok' | 'warning' | 'error';

/** One thing that was looked at. Texts are for people; scripts go by `level` and `code`. */
export interface HostFinding {
  readonly level: FindingLevel;
  /** `noun.reason`; never changed and never reused. */
  readonly code: string;
  /** A device address, a module, a driver; null: the host itself. */
  readonly subject: string | null;
  /** What was read, and where. */
  readonly read: string;
  readonly why: string;
  /** A command, or a file and its content; null where nothing has to be done. */
  readonly remedy: string | null;
}

const ORDER: readonly FindingLevel[] = ['error', 'warning', 'ok'];

/** The worst first; of one level in the order in which they were found. */
export function worstFirst(findings: readonly HostFinding[]): HostFinding[] {
  return findings.toSorted((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
}

/** Some of many, for a sentence. */
export function someOf(names: readonly string[], max = 8): string {
  const shown = names.slice(0, max).join(', ');
  return names.length > max ? `${shown} and ${names.length - max} more` : shown;
}

/** The things under their keys, both in the order in which they come. */
export function groupedBy<Key, Thing>(things: readonly Thing[], keyOf: (thing: Thing) => Key): Map<Key, Thing[]> {
  const groups = new Map<Key, Thing[]>();
  for (const thing of things) {
    const key = keyOf(thing);
    const group = groups.get(key);
    if (group) group.push(thing);
    else groups.set(key, [thing]);
  }
  return groups;
}
