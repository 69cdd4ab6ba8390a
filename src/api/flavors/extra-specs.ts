import { messageOf } from '../../errors.js';
import type { AliasRequest } from '../../pci/alias/alias-request.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import { parseAliasRequestAs, resolveNumaPolicyAs } from '../../pci/dialect-readers.js';
import type { Dialect } from '../../pci/dialect.js';
import { suggestion } from '../../pci/suggest.js';
import { DEVICES_PER_SERVER_MAX, type GuestCell } from '../../placement/request.js';
import { parseTopology, type TopologyWish } from '../../placement/topology-text.js';
import { fieldError, invalid } from './extra-spec-errors.js';
import { type HostDemands, readHostDemands } from './host-demands.js';

export type ExtraSpecs = Readonly<Record<string, string>>;

/** What Berth reads out of a flavor's extra specs; all other keys are kept as they are. */
export interface FlavorDemands extends HostDemands {
  readonly devices: readonly AliasRequest[];
  readonly numaPolicy: NumaPolicy | null;
  /** null: the guest has no NUMA topology of its own. */
  readonly guestCells: readonly GuestCell[] | null;
  /** How the devices have to lie to each other; the names are not looked up yet. */
  readonly topology: readonly TopologyWish[];
}

const ALIAS_KEY = 'pci_passthrough:alias';
export const TOPOLOGY_KEY = 'pci_passthrough:topology';
const POLICY_KEY = 'hw:pci_numa_affinity_policy';
const NODES_KEY = 'hw:numa_nodes';
const CPUS_KEY = 'hw:numa_cpus.';
const MEMORY_KEY = 'hw:numa_mem.';

export const EXTRA_SPECS_MAX = 128;
const TEXT_LENGTH_MAX = 255;
const KEY = /^[a-zA-Z0-9_.:\- ]{1,255}$/;
const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u;
const GUEST_CELLS_MAX = 64;

/**
 * Checks and reads extra specs. Rules: Nova's `hardware.py` (NUMA) and flavor API (keys, alias counts).
 *
 * @param size of the flavor: what the guest's NUMA nodes are cut from
 * @throws BerthError `flavor.invalid`, `numa_policy.invalid`; the message names the key
 */
export function readExtraSpecs(
  extraSpecs: ExtraSpecs,
  size: { readonly vcpus: number; readonly ramMb: number },
  dialect: Dialect,
): FlavorDemands {
  assertForm(extraSpecs);
  return {
    devices: readDevices(extraSpecs[ALIAS_KEY], dialect),
    numaPolicy: readPolicy(extraSpecs[POLICY_KEY], dialect),
    guestCells: readGuestCells(extraSpecs, size),
    topology: readTopology(extraSpecs[TOPOLOGY_KEY]),
    ...readHostDemands(extraSpecs),
  };
}

function assertForm(extraSpecs: ExtraSpecs): void {
  const entries = Object.entries(extraSpecs);
  if (entries.length > EXTRA_SPECS_MAX) {
    throw invalid('', `${entries.length} extra specs; a flavor has at most ${EXTRA_SPECS_MAX}`);
  }
  for (const [key, value] of entries) {
    if (!KEY.test(key) || key === '__proto__') {
      throw invalid(key, 'a key has 1 to 255 letters, digits and the characters _ - . : and blank');
    }
    if (typeof value !== 'string') throw invalid(key, 'the value has to be a text in quotes');
    if (value.length > TEXT_LENGTH_MAX && key !== ALIAS_KEY && key !== TOPOLOGY_KEY) {
      throw invalid(key, `the value has ${value.length} characters; at most ${TEXT_LENGTH_MAX}`);
    }
    if (!PLAIN_TEXT.test(value)) throw invalid(key, 'the value has a control character in it');
    assertKnownKey(key);
  }
}

/** A mistyped key of ours would be kept and ignored: the server would land anywhere. */
function assertKnownKey(key: string): void {
  const ours = [ALIAS_KEY, TOPOLOGY_KEY, POLICY_KEY, NODES_KEY];
  if (ours.includes(key) || !/^(?:pci_passthrough|hw:pci_|hw:numa_(?!mempolicy))/.test(key)) return;
  if (/^hw:numa_(?:cpus|mem)\.\d{1,3}$/.test(key)) return;
  throw invalid(key, `is not known${suggestion(key, ours)}`);
}

function readDevices(text: string | undefined, dialect: Dialect): readonly AliasRequest[] {
  if (text === undefined) return [];
  const devices = asFlavorProblem(ALIAS_KEY, () => parseAliasRequestAs(dialect, text));
  const count = devices.reduce((sum, device) => sum + device.count, 0);
  if (count > DEVICES_PER_SERVER_MAX) {
    throw invalid(ALIAS_KEY, `asks for ${count} devices; a server has at most ${DEVICES_PER_SERVER_MAX}`);
  }
  return devices;
}

function readTopology(text: string | undefined): readonly TopologyWish[] {
  return text === undefined ? [] : asFlavorProblem(TOPOLOGY_KEY, () => parseTopology(text));
}

function asFlavorProblem<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw fieldError(
      'flavor.invalid',
      key,
      messageOf(cause).replace(/^(?:pci_passthrough:alias|topology): /, ''),
      cause,
    );
  }
}

function readPolicy(text: string | undefined, dialect: Dialect): NumaPolicy | null {
  if (text === undefined) return null;
  if (text === '' && dialect === 'nova') return null;
  if (text === '') throw invalid(POLICY_KEY, 'is empty; give a policy, or remove the key');
  try {
    return resolveNumaPolicyAs(dialect, { flavor: text, image: null, alias: null });
  } catch (cause) {
    throw fieldError(
      'numa_policy.invalid',
      POLICY_KEY,
      messageOf(cause).replace(`extra spec ${POLICY_KEY}: `, ''),
      cause,
    );
  }
}

function readGuestCells(specs: ExtraSpecs, size: { vcpus: number; ramMb: number }): readonly GuestCell[] | null {
  const perCell = Object.keys(specs).filter((key) => key.startsWith(CPUS_KEY) || key.startsWith(MEMORY_KEY));
  const text = specs[NODES_KEY];
  if (text === undefined) {
    if (perCell[0] !== undefined) throw invalid(perCell[0], `means nothing without ${NODES_KEY}; add that`);
    return null;
  }
  if (!/^\d{1,4}$/.test(text) || Number(text) < 1 || Number(text) > GUEST_CELLS_MAX) {
    throw invalid(NODES_KEY, `"${text}" is not a whole number from 1 to ${GUEST_CELLS_MAX}`);
  }
  const count = Number(text);
  const beyond = perCell.find((key) => Number(key.slice(key.lastIndexOf('.') + 1)) >= count);
  if (beyond !== undefined) throw invalid(beyond, `there are ${count} nodes, counted from 0`);
  return perCell.length === 0 ? equalCells(count, size) : cellsAsSaid(specs, count, size);
}

function equalCells(count: number, { vcpus, ramMb }: { vcpus: number; ramMb: number }): GuestCell[] {
  if (vcpus < count || vcpus % count !== 0 || ramMb % count !== 0) {
    throw invalid(
      NODES_KEY,
      `${vcpus} vCPUs and ${ramMb} MB cannot be shared equally by ${count} nodes; say ${CPUS_KEY}N and ${MEMORY_KEY}N`,
    );
  }
  return Array.from({ length: count }, () => ({ vcpus: vcpus / count, memoryMb: ramMb / count }));
}

function cellsAsSaid(specs: ExtraSpecs, count: number, size: { vcpus: number; ramMb: number }): GuestCell[] {
  const taken = new Set<number>();
  const cells = Array.from({ length: count }, (_, index) => ({
    vcpus: takeCpus(CPUS_KEY + index, specs[CPUS_KEY + index], size.vcpus, taken),
    memoryMb: readMemory(MEMORY_KEY + index, specs[MEMORY_KEY + index]),
  }));
  if (taken.size !== size.vcpus) {
    throw invalid(`${CPUS_KEY}0`, `the nodes have ${taken.size} vCPUs together, the flavor has ${size.vcpus}`);
  }
  const memoryMb = cells.reduce((sum, cell) => sum + cell.memoryMb, 0);
  if (memoryMb !== size.ramMb) {
    throw invalid(`${MEMORY_KEY}0`, `the nodes have ${memoryMb} MB together, the flavor has ${size.ramMb}`);
  }
  return cells;
}

/** @returns how many vCPUs the node has */
function takeCpus(key: string, text: string | undefined, vcpus: number, taken: Set<number>): number {
  if (text === undefined) throw invalid(key, 'is missing: either all nodes say their vCPUs and memory, or none does');
  const cpus = readCpuSet(key, text, vcpus);
  for (const cpu of cpus) {
    if (taken.has(cpu)) throw invalid(key, `vCPU ${cpu} is in two nodes`);
    taken.add(cpu);
  }
  return cpus.size;
}

/** `0-3,^2,8`, as Nova reads it. */
function readCpuSet(key: string, text: string, vcpus: number): Set<number> {
  const included = new Set<number>();
  const excluded = new Set<number>();
  for (const part of text.split(',')) {
    const [, not, first, last] = /^(\^)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (first === undefined || (not && last !== undefined)) {
      throw invalid(key, `"${text.slice(0, 60)}" is not a list of vCPUs like "0-3,^2"`);
    }
    const [from, to] = [Number(first), Number(last ?? first)];
    if (to < from || to >= vcpus) throw invalid(key, `"${part.trim()}": the flavor has the vCPUs 0 to ${vcpus - 1}`);
    for (let cpu = from; cpu <= to; cpu++) (not ? excluded : included).add(cpu);
  }
  const cpus = new Set([...included].filter((cpu) => !excluded.has(cpu)));
  if (cpus.size === 0) throw invalid(key, 'leaves no vCPU');
  return cpus;
}

function readMemory(key: string, text: string | undefined): number {
  if (text === undefined) throw invalid(key, 'is missing: either all nodes say their vCPUs and memory, or none does');
  if (!/^\d{1,10}$/.test(text)) throw invalid(key, `"${text.slice(0, 60)}" is not a whole number of MB`);
  return Number(text);
}
