import { access, constants, mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import type { Address } from '../../pci/address.js';
import { CDI_KIND, cdiSpec } from '../../pci/container/cdi-spec.js';
import type { ContainerDevice } from '../../pci/container/container-device.js';
import type { AgentSettings } from '../../settings/settings.js';
import type { AgentLog } from '../agent-log.js';
import { BindingError } from '../binding-error.js';
import type { BindingProblems } from '../binding-problems.js';
import { readDevice } from '../device-reader.js';
import type { ClaimRecord, DeviceRecord } from '../journal-state.js';
import { writeDurably } from '../durable-file.js';
import type { Journal } from '../journal.js';
import { KeyedQueue } from '../keyed-queue.js';
import { errnoOf } from '../sysfs-read.js';
import { isOnVfio } from '../vfio-binder-writes.js';

/** Container runtimes run as other users, too. */
const MODE = 0o644;
/** Ours: of a server, or what a crash left of the writing of one. Others' files have other names. */
const FILE = /^berth-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json(\.new)?$/;
/** More than a file of a thousand devices has; one that is longer is none of ours. */
const FILE_LENGTH_MAX = 4 * 1024 * 1024;

export interface CdiFilesOptions {
  /** Where container runtimes look, `/var/run/cdi`. */
  readonly directory: string;
  readonly sysfsRoot: string;
  readonly journal: Journal;
  readonly problems: BindingProblems;
  readonly log: AgentLog;
}

/** null: another driver is set. The files are as they should be then, as far as they can be. */
export async function openCdiFiles(
  { computeDriver, cdiDir = '/var/run/cdi', readOnly }: AgentSettings,
  around: Omit<CdiFilesOptions, 'directory'>,
): Promise<CdiFiles | null> {
  if (computeDriver !== 'cdi' || readOnly) return null;
  const { sysfsRoot, journal, problems, log } = around;
  const files = new CdiFiles({ directory: cdiDir, sysfsRoot, journal, problems, log });
  await files.settle();
  return files;
}

interface EnteringClaim {
  readonly claimId: string;
  readonly serverId: string;
}

/**
 * Keeps a file of the Container Device Interface for each server that has devices here: `berth-<server>.json`, with the devices of all its
 * claims. A runtime refuses every device that two files name, so that a server with several claims has one file all the same.
 *
 * What a file has follows from the journal and from what is bound, so that it can be written again at any time: the directory is empty after a boot. It is written
 * when a claim's devices are all bound, and is without them before the first is taken back: no container gets the group of another one's device.
 */
export class CdiFiles {
  /** Claims of one server come and go side by side. */
  private readonly queue = new KeyedQueue();

  constructor(private readonly options: CdiFilesOptions) {}

  /** Before a device is touched. @throws BindingError `cdi.failed` when files could not be written afterwards */
  async expect(_claim: EnteringClaim): Promise<void> {
    const { directory } = this.options;
    try {
      await mkdir(directory, { recursive: true, mode: 0o755 });
      await access(directory, constants.W_OK);
    } catch (error) {
      throw failed(`${directory} cannot be written to`, error);
    }
  }

  /** The claim's devices are bound. @throws BindingError `cdi.failed`; the devices are to be given back then */
  async enter({ claimId, serverId }: EnteringClaim): Promise<void> {
    await this.queue.run([serverId], () =>
      this.write(serverId, (claim) => claim.claimId === claimId || claim.state === 'prepared'),
    );
  }

  /**
   * The claim's devices are about to be taken back.
   *
   * @param serverId null: the claim is not known, and no file has devices of it
   * @throws BindingError `cdi.failed`; the devices stay bound then, and the call comes again
   */
  async leave(claimId: string, serverId: string | null, addresses: readonly Address[]): Promise<void> {
    if (serverId === null) return;
    const { problems } = this.options;
    try {
      await this.queue.run([serverId], () =>
        this.write(serverId, (claim) => claim.claimId !== claimId && claim.state === 'prepared'),
      );
    } catch (error) {
      if (!(error instanceof BindingError)) throw error;
      const problem = { claimId, state: 'refused', step: 'cdi_file', errno: error.errno, heldBy: null } as const;
      for (const address of addresses) problems.set({ ...problem, address, remedy: error.message, since: Date.now() });
      throw error;
    }
    for (const address of addresses) if (problems.of(address)?.step === 'cdi_file') problems.clear(address);
  }

  /** At the agent's start: files that a boot has taken are written again, and those go that no claim has. Never fails; it says in the log what could not be done. */
  async settle(): Promise<void> {
    const { journal, directory, log } = this.options;
    const servers = new Set(journal.claims().map(({ serverId }) => serverId));
    const tell = (error: unknown): void =>
      log('error', 'A CDI file is not as it should be', { directory, problem: messageOf(error) });
    for (const serverId of servers) {
      await this.queue.run([serverId], () => this.write(serverId, ({ state }) => state === 'prepared')).catch(tell);
    }
    for (const name of await orphans(directory, servers)) {
      await remove(join(directory, name)).catch(tell);
      log('warn', 'A CDI file that no claim has was removed', { directory, name });
    }
  }

  /** The file with the devices of these claims of the server; none when they have none that is bound. */
  private async write(serverId: string, isIn: (claim: ClaimRecord) => boolean): Promise<void> {
    const { directory, journal } = this.options;
    const claims = journal.claims().filter((claim) => claim.serverId === serverId && isIn(claim));
    const devices = claims.flatMap((claim) => claim.devices).flatMap((record) => this.deviceOf(record));
    const name = `berth-${serverId}.json`;
    try {
      if (devices.length === 0) return await remove(join(directory, name));
      await mkdir(directory, { recursive: true, mode: 0o755 });
      await writeDurably(directory, name, cdiSpec(serverId, devices), MODE);
    } catch (error) {
      throw failed(`${join(directory, name)} cannot be ${devices.length === 0 ? 'removed' : 'written'}`, error);
    }
  }

  /** Groups may have other numbers after a boot; what is not bound yet comes when it is. */
  private deviceOf({ address, netdev }: DeviceRecord): ContainerDevice[] {
    const { sysfsRoot } = this.options;
    if (netdev) return [{ address, vfioGroup: null, netdev: netdev.name }];
    if (!isOnVfio(sysfsRoot, address)) return [];
    return [{ address, vfioGroup: readDevice(sysfsRoot, address).device?.iommuGroup ?? null }];
  }
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) throw error;
  });
}

/** Files of ours, or what a crash left of them, whose server has no claim. */
async function orphans(directory: string, servers: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const [, serverId, isUnfinished] = FILE.exec(name) ?? [];
    if (serverId === undefined || servers.has(serverId)) continue;
    if (isUnfinished !== undefined || (await isOurs(join(directory, name)))) found.push(name);
  }
  return found;
}

/** A file of our name that is of another kind has been written by somebody else. */
async function isOurs(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).size > FILE_LENGTH_MAX) return false;
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null && 'kind' in value && value.kind === CDI_KIND;
  } catch {
    return false;
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EROFS: 'it is mounted read-only; give the agent a writable one',
  EACCES: 'the agent may not write there; run it as root',
  EPERM: 'the agent may not write there; run it as root',
  ENOTDIR: 'something else is in its place; remove that',
  EISDIR: 'something else is in its place; remove that',
  ENOSPC: 'there is no space left',
};

function failed(what: string, cause: unknown): BindingError {
  const errno = errnoOf(cause);
  const remedy = REMEDIES[errno] ?? 'see that the directory is there and can be written to';
  const message = `${what} (${errno}): ${remedy}, or set agent.cdi_dir to another directory that the container runtime reads`;
  return new BindingError('cdi.failed', message, { address: null, step: 'cdi_file', cause });
}
