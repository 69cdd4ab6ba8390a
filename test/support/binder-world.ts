import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AgentLog } from '../../src/compute-agent/agent-log.js';
import { BindingProblems } from '../../src/compute-agent/binding-problems.js';
import { BindingError } from '../../src/compute-agent/binding-error.js';
import { readDevice } from '../../src/compute-agent/device-reader.js';
import { Journal } from '../../src/compute-agent/journal.js';
import type { SysfsWrite } from '../../src/compute-agent/kernel.js';
import { simulatedHostKernel } from '../../src/compute-agent/simulated-kernel.js';
import { scanHost } from '../../src/compute-agent/sysfs-scanner.js';
import type { BinderHost } from '../../src/compute-agent/vfio-binder.js';
import type { Patience } from '../../src/compute-agent/vfio-binder-writes.js';
import { bindingMode } from '../../src/pci/binding-mode.js';
import type { ReportedDevice, Tags } from '../../src/pci/device.js';
import { temporaryHost, type HostOnDisk } from './hosts.js';

export const SERVER = '33333333-3333-4333-8333-333333333333';

/** A host on disk and the agents that live on it, one after the other. */
export interface BinderWorld {
  readonly disk: HostOnDisk;
  readonly logged: string[];
  /** What the whitelist says of devices, by their addresses. */
  readonly tags: Map<string, Tags>;
  /** The agent's next life: journal and kernel are read anew. */
  readonly agent: (wrap?: (write: SysfsWrite) => SysfsWrite, patience?: Patience) => Promise<BinderHost>;
}

/** A life that a test has ended in a write must not go on to say that it is blocked. */
const ENDLESS: Patience = { writeMs: 3_600_000, lookMs: 20 };
/** For tests in which writes take long. */
export const IMPATIENT: Patience = { writeMs: 50, lookMs: 20 };

/** @param ends gets what removes the host from the disk */
export async function binderWorld(
  host: Parameters<typeof temporaryHost>[0],
  ends: (() => Promise<void>)[],
): Promise<BinderWorld> {
  const [disk, remove] = await temporaryHost(host);
  ends.push(remove);
  const logged: string[] = [];
  const tags = new Map<string, Tags>();
  const log: AgentLog = (level, message, fields) => void logged.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  return {
    disk,
    logged,
    agent: async (wrap = (write) => write, patience = ENDLESS) => {
      const kernel = simulatedHostKernel(disk.sysfs);
      return {
        ...kernel,
        ...{ sysfsRoot: disk.sysfs, procRoot: disk.proc, write: wrap(kernel.write) },
        journal: await Journal.open(join(disk.directory, 'state'), log),
        problems: new BindingProblems(),
        modeOf: async (address) => bindingMode(tags.get(address) ?? {}),
        patience,
        log,
      };
    },
    tags,
  };
}

export function order(
  { disk }: BinderWorld,
  addresses: readonly string[],
  claimId = '11111111-1111-4111-8111-111111111111',
) {
  const targets = addresses.map((address) => {
    const { device } = readDevice(disk.sysfs, address);
    return { address, vendor_id: device?.vendorId ?? 'dead', product_id: device?.productId ?? 'beef' };
  });
  return { claimId, serverId: SERVER, targets };
}

export function driver({ disk }: BinderWorld, address: string): string | null {
  return readDevice(disk.sysfs, address).device?.driver ?? null;
}

export async function override({ disk }: BinderWorld, address: string): Promise<string> {
  return (await readFile(join(disk.sysfs, 'bus/pci/devices', address, 'driver_override'), 'utf8')).trim();
}

export async function scan({ disk }: BinderWorld): Promise<readonly ReportedDevice[]> {
  const { sysfs: sysfsRoot, proc: procRoot, directory: stateDir } = disk;
  const resources = { vcpus: null, memoryMb: null, diskGb: null };
  const settings = {
    sysfsRoot,
    procRoot,
    stateDir,
    kernel: 'simulated',
    readOnly: false,
    deviceSpecs: [],
    resources,
  } as const;
  return (await scanHost(settings)).devices;
}

export async function failure(work: Promise<unknown>): Promise<BindingError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BindingError);
  return error as BindingError;
}

/** Stops for ever at a write, before or after it took effect, as a killed process does. */
export function dying(at: number, when: 'before' | 'after') {
  let count = 0;
  let died: () => void;
  const death = new Promise<void>((resolve) => (died = resolve));
  const wrap = (write: SysfsWrite): SysfsWrite => {
    return async (path, value) => {
      const now = count++ === at;
      if (!now || when === 'after') await write(path, value);
      if (!now) return;
      died();
      await new Promise(() => undefined);
    };
  };
  return { wrap, death };
}

/** Keeps writes that `isBlocked` picks waiting, as the kernel does while a guest holds the device, until `letGo`. */
export function blocking(isBlocked: (path: string, value: string) => boolean) {
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const wrap = (write: SysfsWrite): SysfsWrite => {
    return async (path, value) => {
      if (isBlocked(path, value)) await gate;
      await write(path, value);
    };
  };
  return { wrap, letGo: () => letGo() };
}

/** Has a program hold the group of a device open, in the host's `/proc`; what it returns ends the program. */
export async function holdOpen(
  { disk }: BinderWorld,
  address: string,
  { pid = 4711, name = 'qemu-system-x86' } = {},
): Promise<() => Promise<void>> {
  const directory = join(disk.proc, String(pid));
  const group = readDevice(disk.sysfs, address).device?.iommuGroup;
  await mkdir(join(directory, 'fd'), { recursive: true });
  await writeFile(join(directory, 'comm'), `${name}\n`);
  await symlink('/dev/null', join(directory, 'fd/0'));
  await symlink(`/dev/vfio/${group}`, join(directory, 'fd/19'));
  return () => rm(directory, { recursive: true });
}
