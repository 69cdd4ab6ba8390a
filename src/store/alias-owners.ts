import type { AliasDefinition } from '../pci/alias/alias.js';
import { canonicalJson } from '../pci/canonical-json.js';
import type { AliasEntity } from './entities/catalog.entities.js';

/** What the files of one origin say of an alias. */
export interface AliasStatement {
  readonly origin: string;
  /** When they were read last, for people. */
  readonly saidAt: string;
  readonly definition: AliasDefinition;
}

/** An alias before the files of an origin are taken. */
export interface AliasStanding {
  readonly name: string;
  /** What holds for all; null: there is no such alias. */
  readonly inForce: { readonly source: AliasEntity['source']; readonly definition: AliasDefinition } | null;
  /** What the files say, the latest first; those of the origin itself are among them. */
  readonly statements: readonly AliasStatement[];
}

/** What becomes of one alias. */
export type AliasStep =
  | { readonly kind: 'added' | 'changed'; readonly name: string; readonly definition: AliasDefinition }
  /** `behind`: the files say what they said before, and another origin has changed the alias since. */
  | { readonly kind: 'kept' | 'removed' | 'behind'; readonly name: string }
  | { readonly kind: 'refused'; readonly name: string; readonly problem: string };

/**
 * What an origin's files make of an alias. It is changed as `If-Match` would have it: by who has agreed to what is in
 * force, so that a change goes from machine to machine without one of them undoing it, and two that never agreed are told.
 *
 * @param given what the files say; null: nothing
 */
export function aliasStep(standing: AliasStanding, origin: string, given: AliasDefinition | null): AliasStep {
  const { name, inForce, statements } = standing;
  const others = statements.filter((statement) => statement.origin !== origin);
  const before = statements.find((statement) => statement.origin === origin)?.definition ?? null;
  if (given === null) return stepWithout(standing, others);
  if (inForce === null) return { kind: 'added', name, definition: given };
  if (inForce.source === 'rest') return { kind: 'refused', name, problem: madeThroughRest(name, origin) };
  if (isSameAlias(given, inForce.definition)) return { kind: 'kept', name };
  const hadAgreed = before !== null && isSameAlias(before, inForce.definition);
  if (others.length === 0 || hadAgreed) return { kind: 'changed', name, definition: given };
  if (before !== null && isSameAlias(before, given)) return { kind: 'behind', name };
  return { kind: 'refused', name, problem: disagreement(origin, given, inForce.definition, others) };
}

/** Whether two definitions say the same, whatever the order of their keys. */
export function isSameAlias(a: AliasDefinition, b: AliasDefinition): boolean {
  return a.numaPolicy === b.numaPolicy && canonicalJson(a.specs) === canonicalJson(b.specs);
}

/** The alias goes on as long as the files of another origin have it, as those have it. */
function stepWithout({ name, inForce }: AliasStanding, others: readonly AliasStatement[]): AliasStep {
  if (inForce === null || inForce.source === 'rest') return { kind: 'kept', name };
  const [latest] = others;
  if (!latest) return { kind: 'removed', name };
  const held = others.some(({ definition }) => isSameAlias(definition, inForce.definition));
  return held ? { kind: 'kept', name } : { kind: 'changed', name, definition: latest.definition };
}

function madeThroughRest(name: string, origin: string): string {
  const path = `/v1/aliases/${encodeURIComponent(name)}`;
  return `alias ${name}: the files of ${origin} define it, and it was made through REST; take it out of the files, or DELETE ${path}`;
}

const ORIGINS_NAMED_MAX = 3;

function disagreement(
  origin: string,
  given: AliasDefinition,
  inForce: AliasDefinition,
  others: readonly AliasStatement[],
): string {
  const holders = others.filter(({ definition }) => isSameAlias(definition, inForce));
  const named = (holders.length > 0 ? holders : others).slice(0, ORIGINS_NAMED_MAX);
  const who = named.map((holder) => `${holder.origin} (read ${holder.saidAt})`).join(', ');
  const difference =
    given.numaPolicy === inForce.numaPolicy
      ? `other specs than those of ${who}`
      : `numa_policy ${given.numaPolicy}, and those of ${who} ${inForce.numaPolicy}`;
  const gone = named.map((holder) => `\`berth alias forget-origin ${holder.origin}\``).join(', ');
  return (
    `alias ${given.name}: the files of ${origin} give it ${difference}; ` +
    `make the files agree, or rename one of the two. If the other is gone for good: ${gone}`
  );
}
