import { join } from 'node:path';
import { readProcLines } from './proc-lines.js';

const MOUNTS_MAX = 50_000;
/** Without these the host does not run, or does not boot again. */
const SYSTEM = ['/', '/boot', '/boot/efi', '/efi', '/usr', '/var'];

export type DiskUse = 'system_disk' | 'swap' | 'mounted';

/** A file system or swap space and where it lies. */
export interface DiskUser {
  readonly use: DiskUse;
  /** The mount point; `swap`. */
  readonly what: string;
  /** `259:2`; null for a file system that has no device number of its own (btrfs, ZFS, overlay). */
  readonly number: string | null;
  /** `/dev/mapper/vg-root`, `rpool/ROOT`. */
  readonly source: string;
  readonly kind: string;
  /** Whether it is all of the file system, and not a directory of it that was bound elsewhere. */
  readonly isWhole: boolean;
}

/**
 * Who uses the host's disks: the mounts of process 1, else the agent's own, and swap space.
 *
 * @returns system disks first, then by the length of the mount point: what is short stays when containers come and go
 */
export function readDiskUsers(procRoot: string): {
  readonly users: readonly DiskUser[];
  readonly problems: readonly string[];
  /** Whether there was a table of mounts at all. */
  readonly known: boolean;
} {
  const tables = ['1/mountinfo', 'self/mountinfo'].map((file) => readProcLines(join(procRoot, file)));
  const table = tables.find((candidate) => candidate !== null && candidate.lines.length > 0) ?? tables[0] ?? null;
  const mounts = (table?.lines ?? []).slice(0, MOUNTS_MAX).flatMap((line) => mountOf(line) ?? []);
  const swaps = readProcLines(join(procRoot, 'swaps'));
  const users = [...mounts, ...(swaps?.lines ?? []).flatMap((line) => swapOf(line, mounts) ?? [])];
  const problems = [table?.problem ?? null, swaps?.problem ?? null].filter((problem) => problem !== null);
  if ((table?.lines.length ?? 0) > MOUNTS_MAX) problems.push(`mounts beyond the first ${MOUNTS_MAX} are not looked at`);
  return { users: users.sort(byWeight), problems, known: table !== null };
}

/** `36 25 259:2 / /boot rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw` (proc(5)). */
function mountOf(line: string): DiskUser | null {
  const [before, after] = line.split(' - ', 2);
  const [, , number, root, point] = before?.split(' ') ?? [];
  const [kind, source] = after?.split(' ') ?? [];
  if (!/^\d{1,9}:\d{1,9}$/.test(number ?? '') || point === undefined || kind === undefined) return null;
  const what = unescaped(point);
  return {
    use: SYSTEM.includes(what) ? 'system_disk' : 'mounted',
    what,
    number: number?.startsWith('0:') ? null : (number as string),
    source: unescaped(source ?? ''),
    kind,
    isWhole: root === '/',
  };
}

/** `/dev/dm-1 partition 8388604 0 -2`; a file lies where the mount with the longest fitting path is. */
function swapOf(line: string, mounts: readonly DiskUser[]): DiskUser | null {
  const [name, kind] = line.trim().split(/\s+/);
  if (name === undefined || !name.startsWith('/')) return null;
  const source = unescaped(name);
  const swap = { use: 'swap', what: 'swap', isWhole: true } as const;
  if (kind === 'partition') return { ...swap, source, number: null, kind: 'swap' };
  const below = mounts.filter(({ what }) => what === '/' || source.startsWith(`${what}/`));
  const nearest = below.sort((a, b) => b.what.length - a.what.length)[0];
  return nearest ? { ...nearest, ...swap } : null;
}

/** Blanks, tabs, line feeds and backslashes are written in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function byWeight(a: DiskUser, b: DiskUser): number {
  const weight = ({ use, isWhole }: DiskUser): number =>
    ['system_disk', 'swap', 'mounted'].indexOf(use) * 2 + (isWhole ? 0 : 1);
  const place = ({ what, source }: DiskUser): string => `${what} ${source}`;
  return weight(a) - weight(b) || a.what.length - b.what.length || (place(a) < place(b) ? -1 : 1);
}
