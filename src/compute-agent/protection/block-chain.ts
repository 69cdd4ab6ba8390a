import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Address } from '../../pci/address.js';
import { readText } from '../sysfs-read.js';
import { functionAbove, isPlainName, linkTarget, namesIn } from './sysfs-links.js';

const BLOCKS_MAX = 4096;
const BLOCK = 'class/block';

/** A controller that a block device ends on, and the devices from the outermost down: `['dm-0', 'md0', 'nvme0n1p2']`. */
export interface Disk {
  readonly address: Address;
  readonly chain: readonly string[];
}

/**
 * The PCI functions that a block device lies on, through device mapper (LVM, LUKS, multipath), md, bcache, and the shared
 * name of an NVMe disk with several paths. Each device is looked at once, so that loops end; at most {@link BLOCKS_MAX}.
 *
 * @param directory of the block device, as {@link blockOfNumber} and {@link blocksOfSource} find it
 */
export function disksBelow(sysfsRoot: string, directory: string): Disk[] {
  const disks = new Map<Address, Disk>();
  const seen = new Set([directory]);
  const waiting = [{ directory, chain: [basename(directory)] }];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    const address = functionAbove(sysfsRoot, at.directory);
    if (address) {
      if (!disks.has(address)) disks.set(address, { address, chain: at.chain });
      continue;
    }
    for (const lower of lowersOf(sysfsRoot, at.directory)) {
      if (seen.has(lower) || seen.size >= BLOCKS_MAX) continue;
      seen.add(lower);
      waiting.push({ directory: lower, chain: [...at.chain, basename(lower)] });
    }
  }
  return [...disks.values()];
}

/** @param number `259:2` */
export function blockOfNumber(sysfsRoot: string, number: string): string | null {
  return linkTarget(sysfsRoot, join(sysfsRoot, 'dev/block', number));
}

/** The block devices that a mount's source names: `/dev/nvme0n1p2`, `/dev/mapper/vg-root`; several of a btrfs. */
export function blocksOfSource(sysfsRoot: string, source: string, kind: string): string[] {
  const names = source.split(':').flatMap((path) => nameOfPath(sysfsRoot, path) ?? []);
  const all = kind === 'btrfs' ? names.flatMap((name) => btrfsMembers(sysfsRoot, name)) : names;
  return [...new Set(all)].flatMap((name) => blockOfName(sysfsRoot, name) ?? []);
}

export interface WholeDisk {
  readonly name: string;
  readonly address: Address;
  readonly directory: string;
}

/** Disks on PCI functions, not their partitions, nor volumes and arrays of them. One with several paths is told for each. */
export function wholeDisks(sysfsRoot: string): WholeDisk[] {
  return namesIn(sysfsRoot, BLOCK).flatMap((name) => {
    const directory = blockOfName(sysfsRoot, name);
    if (!directory || existsSync(join(directory, 'partition')) || namesIn(directory, 'slaves').length > 0) return [];
    return disksBelow(sysfsRoot, directory).map(({ address }) => ({ name, address, directory }));
  });
}

/** Volumes and arrays that have a disk, or a partition of it, open; in name order. */
export function holdersOf({ name, directory }: WholeDisk): string[] {
  const partitions = namesIn(directory).filter((entry) => entry.startsWith(name));
  const holders = [directory, ...partitions.map((entry) => join(directory, entry))].flatMap((from) =>
    namesIn(from, 'holders'),
  );
  return [...new Set(holders)].sort();
}

function blockOfName(sysfsRoot: string, name: string): string | null {
  return isPlainName(name) ? linkTarget(sysfsRoot, join(sysfsRoot, BLOCK, name)) : null;
}

function nameOfPath(sysfsRoot: string, path: string): string | null {
  const mapped = /^\/dev\/mapper\/(.+)$/.exec(path)?.[1];
  if (mapped === undefined) return path.startsWith('/dev/') ? basename(path) : null;
  return (
    namesIn(sysfsRoot, BLOCK).find((name) => {
      if (!name.startsWith('dm-')) return false;
      const reading = readText(join(sysfsRoot, BLOCK, name, 'dm/name'));
      return reading.kind === 'text' && reading.text === mapped;
    }) ?? null
  );
}

/** A btrfs over several disks is mounted by the name of one. */
function btrfsMembers(sysfsRoot: string, name: string): string[] {
  const systems = namesIn(sysfsRoot, 'fs/btrfs').map((uuid) => namesIn(sysfsRoot, 'fs/btrfs', uuid, 'devices'));
  return systems.find((members) => members.includes(name)) ?? [name];
}

function lowersOf(sysfsRoot: string, directory: string): string[] {
  const own = linksIn(sysfsRoot, join(directory, 'slaves'), /./);
  if (own.length > 0) return own;
  // a partition of an array is on what the array is on
  if (existsSync(join(directory, 'partition'))) return [dirname(directory)];
  // a disk with several paths hangs below its NVMe subsystem, beside links to its controllers
  if (!/^nvme-subsys\d+$/.test(basename(dirname(directory)))) return [];
  return linksIn(sysfsRoot, dirname(directory), /^nvme\d+$/);
}

function linksIn(sysfsRoot: string, directory: string, names: RegExp): string[] {
  return namesIn(directory).flatMap((name) =>
    names.test(name) ? (linkTarget(sysfsRoot, join(directory, name)) ?? []) : [],
  );
}
