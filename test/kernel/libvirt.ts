import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from '../support/packages.js';
import { endChild, run, spawnTied } from '../support/processes.js';
import { eventually } from '../support/rest-client.js';

const PACKAGES = ['libvirt-clients', 'libvirt-daemon', 'libvirt-daemon-driver-qemu'];
/** A user's own libvirt leaves the machine's alone. */
const NOBODY = 65_534;
const START_MS_MAX = 60_000;

export interface TestLibvirt {
  readonly uri: string;
  /** A place for files that it may read and write. */
  readonly folder: string;
  virsh(words: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/**
 * The distribution's libvirt with its QEMU driver, installed when it is missing, started for a user of no rights.
 *
 * @throws Error that says why there is none
 */
export async function startLibvirt(): Promise<TestLibvirt> {
  const isThere = (): boolean => existsSync('/usr/bin/virsh') && existsSync('/usr/sbin/libvirtd');
  if (!isThere()) {
    const refusal = await installPackages('libvirt', PACKAGES);
    if (!isThere())
      throw new Error(`The tests of the libvirt driver need libvirt: ${refusal ?? 'it was not installed'}.`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'berth-libvirt-'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  chmodSync(folder, 0o755);
  const user = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
  const places = ['HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME', 'XDG_DATA_HOME'];
  const child = spawnTied([...user, '/usr/sbin/libvirtd'], {
    cwd: folder,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...Object.fromEntries(places.map((name) => [name, folder])) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr?.on('data', (text: Buffer) => (complaints += text.toString()));
  const uri = `qemu+unix:///session?socket=${folder}/libvirt/libvirt-sock`;
  const virsh = async (words: readonly string[]): Promise<string> =>
    (await run('virsh', ['--quiet', '-c', uri, ...words], { env: { ...process.env, LC_ALL: 'C' }, timeout: 30_000 }))
      .stdout;
  const stop = async (): Promise<void> => {
    await endChild(child, 'SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(START_MS_MAX, () => virsh(['list', '--all']));
  } catch (error) {
    await stop();
    throw new Error(`libvirt did not start: ${String(error)}\n${complaints}`, { cause: error });
  }
  return { uri, folder, virsh, stop };
}
