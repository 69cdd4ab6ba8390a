import { existsSync } from 'node:fs';
import path from 'node:path';
import { installPackages } from '../support/packages.js';

/** What the kernel tests run on this machine, and the package of Debian that has it. */
const PACKAGES = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  modprobe: 'kmod',
  depmod: 'kmod',
  mke2fs: 'e2fsprogs',
  xz: 'xz-utils',
  zstd: 'zstd',
  ip: 'iproute2',
  nsenter: 'util-linux',
} as const;

type ProgramName = keyof typeof PACKAGES;

/** Where each program is. */
export type Programs = Readonly<Record<ProgramName, string>>;

/**
 * Finds the programs, and installs those that are missing (as root on Debian and its kin).
 *
 * @throws Error that says what is missing, and why it could not be installed
 */
export async function findPrograms(): Promise<Programs> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `The kernel tests run this machine's Node in a Linux guest for x86-64, not ${process.platform} ${process.arch}.`,
    );
  }
  const missing = missingPrograms();
  if (missing.length === 0) return found();
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))];
  const refusal = await installPackages('What the kernel tests need', packages);
  const still = missingPrograms();
  if (still.length === 0) return found();
  throw new Error(`The kernel tests need ${still.join(', ')}: ${refusal ?? 'the packages do not have them'}.`);
}

function missingPrograms(): ProgramName[] {
  return (Object.keys(PACKAGES) as ProgramName[]).filter((name) => whereIs(name) === null);
}

function found(): Programs {
  return Object.fromEntries(Object.keys(PACKAGES).map((name) => [name, whereIs(name)])) as unknown as Programs;
}

function whereIs(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file)) ?? null;
}
