import {
  clip,
  FieldProblem,
  isObject,
  kindOf,
  readBoolean,
  readCount,
  unknownKey,
} from '../device-spec/device-spec-fields.js';
import type { Path } from '../device-spec/device-spec-fields.js';

/** NumVFs has 16 bits (PCIe base specification, SR-IOV extended capability). */
export const VFS_MAX = 65_535;
const RULES_MAX = 1024;
const VLAN_MAX = 4094;
/** Mbit/s: a terabit. */
const RATE_MAX = 1_000_000;

export const LINK_STATES = ['auto', 'enable', 'disable'] as const;

/** What an administrator wants of a VF, set through its PF's network interface. null: as it is. */
export interface VfSettings {
  /** Lower case, `02:00:00:00:00:01`. */
  readonly mac: string | null;
  /** 0: none. */
  readonly vlan: number | null;
  /** Priority of the VLAN, 0 to 7. */
  readonly qos: number | null;
  readonly spoofCheck: boolean | null;
  readonly trust: boolean | null;
  readonly linkState: (typeof LINK_STATES)[number] | null;
  /** Mbit/s; 0: no limit. */
  readonly minTxRate: number | null;
  readonly maxTxRate: number | null;
}

/** Settings of the VFs from `first` to `last`. */
export interface VfRule {
  readonly first: number;
  readonly last: number;
  readonly settings: VfSettings;
}

/** How a PF's VFs shall be. */
export interface SriovTarget {
  readonly vfCount: number;
  /** Whether the host's drivers take new VFs; null: as it is. */
  readonly autoprobe: boolean | null;
  /** What is said of fewer VFs comes later, and counts. */
  readonly vfs: readonly VfRule[];
}

export const NO_SETTINGS: VfSettings = {
  ...{ mac: null, vlan: null, qos: null, spoofCheck: null, trust: null, linkState: null },
  ...{ minTxRate: null, maxTxRate: null },
};

/** Keys of an entry that are about its VFs; the others say which PFs it means. */
export const TARGET_KEYS = ['vf_count', 'autoprobe', 'vfs'] as const;

type Report = (path: Path, text: string) => void;

/**
 * Reads `{"vf_count": 8, "autoprobe": false, "vfs": {"*": {"trust": false}, "0-3": {"vlan": 7}, "0": {"mac": …}}}`; other keys are not
 * looked at.
 *
 * @param report called for each problem, with the way to it
 * @returns null when there was one
 */
export function readSriovTarget(entry: Readonly<Record<string, unknown>>, report: Report): SriovTarget | null {
  let sound = true;
  const read = <T>(path: Path, reading: () => T): T | null => {
    try {
      return reading();
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
      sound = false;
      const way = [...path, ...error.path];
      report(way, `${clip(way.join('.'))}: ${error.message}`);
      return null;
    }
  };
  const vfCount = read(['vf_count'], () => readVfCount(entry['vf_count'])) ?? 0;
  const said = (key: string): boolean => (entry[key] ?? null) !== null;
  const autoprobe = said('autoprobe') ? read(['autoprobe'], () => readBoolean(entry['autoprobe'])) : null;
  const rules = said('vfs') ? read(['vfs'], () => vfRules(entry['vfs'])) : [];
  const vfs = (rules ?? []).map(([key, value]) => read(['vfs', key], () => readRule(key, value, vfCount)));
  if (!sound) return null;
  const sorted = (vfs as VfRule[]).toSorted((a, b) => sizeOf(b) - sizeOf(a));
  read(['vfs'], () => assertOwnMacs(sorted));
  return sound ? { vfCount, autoprobe, vfs: sorted } : null;
}

/** What is wanted of one VF, from the rules that mean it. */
export function settingsOfVf(target: SriovTarget, index: number): VfSettings {
  const rules = target.vfs.filter(({ first, last }) => first <= index && index <= last);
  const said = rules.map(({ settings }) =>
    Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)),
  );
  return Object.assign({ ...NO_SETTINGS }, ...said) as VfSettings;
}

function readVfCount(value: unknown): number {
  if (value === undefined) throw new FieldProblem('is missing; say how many VFs the PF shall have');
  const count = readCount(value);
  if (count > VFS_MAX) throw new FieldProblem(`${count} is above ${VFS_MAX}`);
  return count;
}

function vfRules(value: unknown): [string, unknown][] {
  if (!isObject(value)) throw new FieldProblem(`has to be an object like {"0": {"vlan": 7}}, not ${kindOf(value)}`);
  const rules = Object.entries(value);
  if (rules.length > RULES_MAX) throw new FieldProblem(`has ${rules.length} keys; at most ${RULES_MAX}`);
  return rules;
}

function readRule(key: string, value: unknown, vfCount: number): VfRule {
  const { first, last } = readNumbers(key, vfCount);
  if (!isObject(value)) throw new FieldProblem(`has to be an object like {"vlan": 7}, not ${kindOf(value)}`);
  const settings: Record<string, unknown> = { ...NO_SETTINGS };
  for (const [name, given] of Object.entries(value)) {
    const known = READERS.get(name);
    if (!known) throw new FieldProblem(unknownKey(name, READERS.keys()), [name]);
    const [field, read] = known;
    if (given !== null) settings[field] = readAt(name, () => read(given));
  }
  const read = settings as unknown as VfSettings;
  assertFits(read, first === last && key !== '*');
  return { first, last, settings: read };
}

/** `*`, `3` or `0-3`, of VFs that there will be. */
function readNumbers(key: string, vfCount: number): { first: number; last: number } {
  if (key === '*') return { first: 0, last: VFS_MAX };
  const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(key) ?? [];
  if (from === undefined) throw new FieldProblem(`"${clip(key)}" is not "*", a number of a VF like "0", or "0-3"`);
  const [first, last] = [Number(from), Number(to ?? from)];
  if (last < first) throw new FieldProblem(`"${key}" ends before it begins`);
  if (last < vfCount) return { first, last };
  throw new FieldProblem(`there is no VF ${last} of ${vfCount}: they are counted from 0`);
}

type Reader = readonly [field: keyof VfSettings, read: (value: unknown) => unknown];

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['mac', ['mac', readMac]],
  ['vlan', ['vlan', upTo(VLAN_MAX)]],
  ['qos', ['qos', upTo(7)]],
  ['spoof_check', ['spoofCheck', readBoolean]],
  ['trust', ['trust', readBoolean]],
  ['link_state', ['linkState', readLinkState]],
  ['min_tx_rate', ['minTxRate', upTo(RATE_MAX)]],
  ['max_tx_rate', ['maxTxRate', upTo(RATE_MAX)]],
]);

function readAt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof FieldProblem ? new FieldProblem(error.message, [name, ...error.path]) : error;
  }
}

function upTo(max: number): (value: unknown) => number {
  return (value) => {
    const number = readCount(value);
    if (number <= max) return number;
    throw new FieldProblem(`${number} is above ${max}`);
  };
}

function readMac(value: unknown): string {
  const text = typeof value === 'string' ? value.toLowerCase() : '';
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(text)) {
    throw new FieldProblem(
      `has to be a text like "02:00:00:00:00:01", not ${typeof value === 'string' ? `"${clip(value)}"` : kindOf(value)}`,
    );
  }
  // The lowest bit of the first octet: a group address, which no interface may have.
  if (Number.parseInt(text.slice(0, 2), 16) % 2 === 1) throw new FieldProblem(`${text} is a multicast address`);
  if (text === '00:00:00:00:00:00') throw new FieldProblem('all zeros is no address; leave it out');
  return text;
}

function readLinkState(value: unknown): string {
  const word = LINK_STATES.find((known) => known === value);
  if (word !== undefined) return word;
  throw new FieldProblem(
    `has to be ${LINK_STATES.join(' or ')}, not ${typeof value === 'string' ? `"${clip(value)}"` : kindOf(value)}`,
  );
}

function assertFits({ mac, vlan, qos, minTxRate, maxTxRate }: VfSettings, isOne: boolean): void {
  if (mac !== null && !isOne) throw new FieldProblem('several VFs cannot have one address; give each its own', ['mac']);
  if (qos !== null && (vlan ?? 0) === 0)
    throw new FieldProblem('is the priority of a VLAN; give a vlan beside it', ['qos']);
  const most = maxTxRate ?? 0;
  if (most > 0 && (minTxRate ?? 0) > most)
    throw new FieldProblem(`${minTxRate} is above max_tx_rate ${most}`, ['min_tx_rate']);
}

function assertOwnMacs(rules: readonly VfRule[]): void {
  const macs = rules.map(({ settings }) => settings.mac).filter((mac) => mac !== null);
  const twice = macs.find((mac, index) => macs.indexOf(mac) < index);
  if (twice !== undefined) throw new FieldProblem(`two VFs have the address ${twice}`);
}

function sizeOf({ first, last }: VfRule): number {
  return last - first;
}
