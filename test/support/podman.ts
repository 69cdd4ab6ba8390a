import { mkdir, copyFile, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages, lastLineOf } from './packages.js';
import { run } from './processes.js';

const RUN_TIMEOUT_MS = 120_000;
const BUSYBOX = '/bin/busybox';

/**
 * A podman of its own: nothing of it is left when it is closed, and it reads CDI files from one directory only. What stands for the files
 * of vfio are device nodes that exist nowhere else.
 */
export interface Podman {
  /** Where it looks for CDI files. */
  readonly cdi: string;
  /** @returns what it printed; a failure has `stderr` */
  readonly call: (...words: readonly string[]) => Promise<string>;
  /** Runs a shell line in a new container. */
  readonly runShell: (words: readonly string[], line: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** @returns null when containers can be run on this machine, or why not; the distribution's podman is installed where this process may do so */
export async function podmanMissing(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'that needs root';
  if (!(await answers('podman', '--version')) || !(await answers(BUSYBOX, 'true'))) {
    const failed = await installPackages('podman', ['podman', 'crun', 'conmon', 'busybox-static']);
    if (failed !== null) return failed;
  }
  const podman = await openPodman([]);
  try {
    await podman.runShell([], 'true');
    return null;
  } catch (error) {
    return `podman runs no container here: ${lastLineOf(error)}`;
  } finally {
    await podman.close();
  }
}

/** @param vfio names of files in `/dev/vfio` that are to be there */
export async function openPodman(vfio: readonly string[]): Promise<Podman> {
  const directory = await mkdtemp(join(tmpdir(), 'berth-podman-'));
  const cdi = join(directory, 'cdi');
  const root = join(directory, 'root');
  for (const path of [cdi, join(root, 'bin')]) await mkdir(path, { recursive: true });
  await copyFile(BUSYBOX, join(root, 'bin/busybox'));
  const options = [
    ...['--root', join(directory, 'store'), '--runroot', join(directory, 'run')],
    ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ];
  const call = async (...words: readonly string[]): Promise<string> => {
    const script = `set -e; ${surroundings(cdi, vfio)}; exec podman "$@"`;
    const all = ['-m', '--propagation', 'private', 'sh', '-c', script, 'podman', ...options, ...words];
    return (await run('unshare', all, { timeout: RUN_TIMEOUT_MS })).stdout;
  };
  // Without the right to raise limits, podman's own would keep a container from starting.
  const modest = [
    '--ulimit',
    'nofile=1024:1024',
    '--ulimit',
    'nproc=1024:1024',
    '--cgroups=disabled',
    '--network=none',
  ];
  return {
    cdi,
    call,
    runShell: (words, line) =>
      call('run', '--rm', ...modest, ...words, '--rootfs', root, '/bin/busybox', 'sh', '-c', line),
    close: async () => {
      await rm(directory, { recursive: true, force: true });
      // Ours was on top of it; one that was there before is not empty.
      await rmdir('/dev/vfio').catch(() => undefined);
    },
  };
}

/** Seen by this one call of podman only. crun does not start where both kinds of cgroups are mounted. */
function surroundings(cdi: string, vfio: readonly string[]): string {
  return [
    'umount /sys/fs/cgroup/unified 2>/dev/null || true',
    'mount -t tmpfs none /run',
    `mkdir -p /run/cdi; mount --bind ${cdi} /run/cdi`,
    'mkdir -p /dev/vfio; mount -t tmpfs none /dev/vfio',
    ...vfio.map((name) => `mknod /dev/vfio/${name} c 1 5`),
  ].join('; ');
}

function answers(program: string, word: string): Promise<boolean> {
  return run(program, [word]).then(
    () => true,
    () => false,
  );
}
