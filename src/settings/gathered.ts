import type { AliasEntry } from '../pci/alias/alias.js';
import { clip, FieldProblem, placeOf } from '../pci/device-spec/device-spec-fields.js';
import type { Where } from '../pci/device-spec/device-spec-fields.js';
import { RESERVED_TAGS } from '../pci/device-spec/device-spec-reader.js';
import { SETTINGS } from './settings-table.js';
import type { SettingDefinition, SettingValue } from './setting-kinds.js';

/** The names that a whitelist may have, current one first: the order in which their entries are asked. */
export const WHITELIST_NAMES = ['device_spec', 'passthrough_whitelist', 'pci_passthrough_whitelist'] as const;
export type WhitelistName = (typeof WHITELIST_NAMES)[number];

export interface WhitelistValue {
  readonly name: WhitelistName;
  readonly value: unknown;
  readonly where: Where;
  readonly file: string;
  /** Of a nova.conf or zun.conf. */
  readonly fromConf?: boolean;
}

/** What the sources have said so far; problems and warnings begin with their place. */
export interface Gathered {
  readonly values: Map<string, SettingValue>;
  readonly whitelist: WhitelistValue[];
  readonly aliases: AliasEntry[];
  /** Entries of `agent.sriov`. */
  readonly sriov: { readonly value: unknown; readonly where: Where }[];
  readonly freeTags: Set<string>;
  readonly problems: string[];
  readonly warnings: string[];
}

const FREE_TAGS_MAX = 64;
const DEFINITIONS: ReadonlyMap<string, SettingDefinition> = new Map(SETTINGS.map((entry) => [entry.key, entry]));

export function emptyGathered(): Gathered {
  return { values: new Map(), whitelist: [], aliases: [], sriov: [], freeTags: new Set(), problems: [], warnings: [] };
}

/** The definition of a plain setting. */
export function definitionOf(key: string): SettingDefinition | undefined {
  return DEFINITIONS.get(key);
}

/** Takes a plain setting; the last one given counts, except that weigher multipliers add up. */
export function giveSetting(gathered: Gathered, definition: SettingDefinition, value: unknown, where: Where): void {
  try {
    const read = definition.kind.read(value);
    const earlier = gathered.values.get(definition.key);
    const both = definition.key === 'scheduler.weigher_multipliers' && earlier !== undefined;
    gathered.values.set(definition.key, both ? { ...(earlier as object), ...(read as object) } : read);
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    gathered.problems.push(`${placeOf(where, [])}: ${definition.key}: ${error.message}`);
  }
}

/** Takes the names of tags that entries may have beside the known keys. */
export function giveFreeTags(gathered: Gathered, value: unknown, where: Where): void {
  const refuse = (text: string): void => {
    gathered.problems.push(`${placeOf(where, [])}: pci.free_tags: ${text}`);
  };
  if (!Array.isArray(value)) return refuse('has to be a list of names, like [rack, vendor_note]');
  for (const name of value.slice(0, FREE_TAGS_MAX + 1)) {
    if (typeof name !== 'string' || !/^[a-z][a-z0-9_.-]{0,63}$/i.test(name)) {
      refuse(`"${clip(String(name))}" is not a name of letters, digits, "_", "." and "-"`);
    } else if (RESERVED_TAGS.has(name)) refuse(`"${name}" has a meaning of its own; take another name`);
    else gathered.freeTags.add(name);
  }
  if (gathered.freeTags.size > FREE_TAGS_MAX) refuse(`more than ${FREE_TAGS_MAX} names`);
}
