import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { run } from '../support/processes.js';
import type { Programs } from './programs.js';

/** The distribution's kernel, unpacked, not installed. */
export interface GuestKernel {
  /** What `uname -r` will say. */
  readonly release: string;
  /** Without its compression: QEMU starts it seconds sooner than the packed one. */
  readonly image: string;
  /** The root below which `lib/modules` is. */
  readonly root: string;
}

/** Where the setup header of a bzImage says where the packed kernel is (Linux boot protocol 2.08). */
const SETUP_SECTORS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;

const UPDATE_MS_MAX = 300_000;
const DOWNLOAD_MS_MAX = 600_000;
const UNPACK_MS_MAX = 120_000;
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;

/**
 * The newest kernel that the distribution has, downloaded once and kept below `cache`.
 *
 * @throws Error that says why there is none
 */
export async function fetchKernel(cache: string, programs: Programs): Promise<GuestKernel> {
  const kernels = path.join(cache, 'kernels');
  mkdirSync(kernels, { recursive: true });
  const kept = readdirSync(kernels).find((name) => existsSync(path.join(kernels, name, 'vmlinux')));
  if (kept !== undefined) return kernelAt(path.join(kernels, kept), kept);
  const folder = mkdtempSync(path.join(kernels, '.new-'));
  try {
    const release = await unpackPackage(folder);
    const packed = readFileSync(path.join(folder, `boot/vmlinuz-${release}`));
    await run(programs.depmod, ['-b', folder, release], { timeout: UNPACK_MS_MAX });
    const image = await unpackKernel(packed, folder, programs);
    writeFileSync(path.join(folder, 'vmlinux'), image);
    const place = path.join(kernels, release);
    rmSync(place, { recursive: true, force: true });
    renameSync(folder, place);
    return kernelAt(place, release);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function kernelAt(root: string, release: string): GuestKernel {
  return { release, root, image: path.join(root, 'vmlinux') };
}

/** @returns the kernel's release, e.g. `6.1.0-56-amd64` */
async function unpackPackage(folder: string): Promise<string> {
  const name = await packageName();
  // Not as the user _apt, who may not write here.
  const words = ['-qq', '-o', 'APT::Sandbox::User=', 'download', name];
  await run('apt-get', words, { cwd: folder, timeout: DOWNLOAD_MS_MAX });
  const file = readdirSync(folder).find((each) => each.endsWith('.deb'));
  if (file === undefined) throw new Error(`apt-get downloaded nothing for ${name}`);
  await run('dpkg', ['-x', file, '.'], { cwd: folder, timeout: UNPACK_MS_MAX });
  rmSync(path.join(folder, file));
  return name.replace(/^linux-image-/, '');
}

/** The package that the one without a version stands for now. */
async function packageName(): Promise<string> {
  const known = await dependency();
  if (known !== null) return known;
  await run('apt-get', ['update', '-qq'], { timeout: UPDATE_MS_MAX });
  const found = await dependency();
  if (found !== null) return found;
  throw new Error('The kernel tests need a kernel, and apt knows no package linux-image-amd64.');
}

async function dependency(): Promise<string | null> {
  const shown = await run('apt-cache', ['show', '--no-all-versions', 'linux-image-amd64']).catch(() => null);
  return /^Depends:.*?(linux-image-\d[^ ,]*)/m.exec(shown?.stdout ?? '')?.[1] ?? null;
}

/** The last four bytes of what is packed are its length. */
async function unpackKernel(packed: Buffer, folder: string, programs: Programs): Promise<Buffer> {
  const start = ((packed[SETUP_SECTORS] || 4) + 1) * SECTOR_BYTES + packed.readUInt32LE(PAYLOAD_OFFSET);
  const payload = packed.subarray(start, start + packed.readUInt32LE(PAYLOAD_LENGTH) - 4);
  const file = path.join(folder, 'payload');
  writeFileSync(file, payload);
  try {
    return await unpackFile(file, payload, programs);
  } finally {
    rmSync(file);
  }
}

/** A file without its compression, which its first bytes tell. */
export async function unpackFile(file: string, content: Buffer, programs: Programs): Promise<Buffer> {
  const magic = content.subarray(0, 4).toString('hex');
  const unpacker = magic.startsWith('fd377a58')
    ? programs.xz
    : magic === '28b52ffd'
      ? programs.zstd
      : magic.startsWith('1f8b')
        ? 'gzip'
        : null;
  if (unpacker === null) return content;
  const options = { encoding: 'buffer', maxBuffer: OUTPUT_BYTES_MAX, timeout: UNPACK_MS_MAX } as const;
  return (await run(unpacker, ['-dc', file], options)).stdout;
}
