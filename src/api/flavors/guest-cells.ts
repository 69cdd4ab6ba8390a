import type { GuestCell } from '../../placement/request.js';
import { VCPUS_MAX } from '../fields.js';
import { invalid } from './extra-spec-errors.js';

type ExtraSpecs = Readonly<Record<string, string>>;

export const NODES_KEY = 'hw:numa_nodes';
const CPUS_KEY = 'hw:numa_cpus.';
const MEMORY_KEY = 'hw:numa_mem.';
const GUEST_CELLS_MAX = 64;

/**
 * Whether each key of the guest's NUMA nodes can be read at all, whatever the others and the flavor say.
 *
 * @throws BerthError `flavor.invalid`; the message names the key
 */
export function assertCellForms(specs: ExtraSpecs): void {
  for (const [key, text] of Object.entries(specs)) {
    if (key === NODES_KEY) readCount(text);
    if (key.startsWith(CPUS_KEY)) readCpuSet(key, text, VCPUS_MAX);
    if (key.startsWith(MEMORY_KEY)) readMemory(key, text);
  }
}

/**
 * The guest's NUMA nodes; null: it has none of its own.
 *
 * @param size of the flavor
 * @throws BerthError `flavor.invalid`; the message names the key
 */
export function readGuestCells(
  specs: ExtraSpecs,
  size: { readonly vcpus: number; readonly ramMb: number },
): readonly GuestCell[] | null {
  const perCell = Object.keys(specs).filter((key) => key.startsWith(CPUS_KEY) || key.startsWith(MEMORY_KEY));
  const text = specs[NODES_KEY];
  if (text === undefined) {
    if (perCell[0] !== undefined) throw invalid(perCell[0], `means nothing without ${NODES_KEY}; add that`);
    return null;
  }
  const count = readCount(text);
  const beyond = perCell.find((key) => Number(key.slice(key.lastIndexOf('.') + 1)) >= count);
  if (beyond !== undefined) throw invalid(beyond, `there are ${count} nodes, counted from 0`);
  return perCell.length === 0 ? equalCells(count, size) : cellsAsSaid(specs, count, size);
}

function readCount(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= GUEST_CELLS_MAX) return Number(text);
  throw invalid(NODES_KEY, `"${text.slice(0, 60)}" is not a whole number from 1 to ${GUEST_CELLS_MAX}`);
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
