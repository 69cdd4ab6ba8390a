import { constants, lstatSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { ConstantAttributes } from './constant-attributes.js';
import { PCI_DEVICES } from './device-reader.js';
import { errnoOf } from './sysfs-read.js';
import { readSerialNumber, VPD_BYTES_MAX, type VpdReading } from './vpd.js';

export interface SerialLimits {
  /** For one card: its VPD comes four bytes at a time, each a wait for the card. */
  readonly readMs: number;
  /** For all cards of one scan; the others have their turn in the next one. */
  readonly scanMs: number;
}

const LIMITS: SerialLimits = { readMs: 2_000, scanMs: 10_000 };
/** Reads that never came back hold threads that others need as well. */
const STUCK_MAX = 2;
const ATTEMPTS_MAX = 3;
const CHUNK_BYTES = 256;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Who may not read it, or asks a card that is going, learns nothing; that is no fault of the card. */
const NOT_READABLE = ['ENOENT', 'EACCES', 'EPERM', 'ENODEV', 'ENXIO'];

interface Known {
  readonly identity: string;
  readonly serial: string | null;
  readonly problem: string | null;
  /** Failed ones; 0 once it is known what the card says. */
  readonly attempts: number;
}

export type VpdAnswer = Pick<Known, 'serial' | 'problem'>;

export interface SerialProblem {
  readonly address: Address;
  readonly problem: string;
}

/**
 * The serial numbers of a host's cards, from their Vital Product Data. To read that takes long, and some cards answer badly
 * or not at all: it is read once for each card that is plugged in, aside from the rest of the process, and never waited for
 * longer than the limits.
 */
export class SerialNumbers {
  /** What else stays the same while a card is plugged in. */
  readonly constants = new ConstantAttributes();
  private known = new Map<Address, Known>();
  private stuck = 0;

  constructor(
    private readonly limits: SerialLimits = LIMITS,
    private readonly read: (path: string) => Promise<VpdAnswer> = readVpd,
  ) {}

  /** The devices with their serial numbers; a VF has its PF's, or its own when its PF tells none. */
  async fillIn(
    sysfsRoot: string,
    devices: readonly PciDevice[],
  ): Promise<{ readonly devices: PciDevice[]; readonly problems: readonly SerialProblem[] }> {
    const found = new Map<Address, Known>();
    const until = performance.now() + this.limits.scanMs;
    const look = async (device: PciDevice): Promise<void> => {
      const known = await this.look(join(sysfsRoot, PCI_DEVICES, device.address), device, until);
      if (known) found.set(device.address, known);
    };
    const serialOf = (address: Address | null): string | null => found.get(address ?? '')?.serial ?? null;
    for (const device of devices) if (device.parentAddress === null) await look(device);
    for (const device of devices) {
      if (device.parentAddress !== null && serialOf(device.parentAddress) === null) await look(device);
    }
    this.known = found;
    const problems = [...found].flatMap(([address, { problem }]) => (problem === null ? [] : [{ address, problem }]));
    return {
      devices: devices.map((device) => {
        return { ...device, serialNumber: serialOf(device.parentAddress) ?? serialOf(device.address) };
      }),
      problems,
    };
  }

  /** null: nothing is known yet, and there was no time to ask. */
  private async look(directory: string, device: PciDevice, until: number): Promise<Known | null> {
    const identity = identityOf(directory, device);
    const earlier = this.known.get(device.address);
    const known = earlier?.identity === identity ? earlier : null;
    if (known && (known.attempts === 0 || known.attempts >= ATTEMPTS_MAX)) return known;
    if (performance.now() > until || this.stuck >= STUCK_MAX) return known;
    const answer = await this.inTime(this.read(join(directory, 'vpd')));
    return { ...answer, identity, attempts: answer.problem === null ? 0 : (known?.attempts ?? 0) + 1 };
  }

  /** A read that does not come back is left to itself. */
  private async inTime(reading: Promise<VpdAnswer>): Promise<VpdAnswer> {
    const timeout = new AbortController();
    const late = delay(this.limits.readMs, null, { signal: timeout.signal }).catch(() => null);
    const answer = await Promise.race([reading, late]);
    timeout.abort();
    if (answer) return answer;
    this.stuck += 1;
    void reading.finally(() => (this.stuck -= 1));
    return failed(`vpd gave no answer within ${this.limits.readMs} ms`);
  }
}

/** Another card of the same make at the same place is another entry in the tree: the kernel numbers them anew. */
function identityOf(directory: string, device: PciDevice): string {
  const { vendorId, productId, subsystemVendorId, subsystemProductId, revision } = device;
  let entry = 0;
  try {
    if (device.parentAddress === null) entry = lstatSync(directory).ino;
  } catch {
    // It is going; the read will say so.
  }
  return [vendorId, productId, subsystemVendorId, subsystemProductId, revision, entry].join(' ');
}

async function readVpd(path: string): Promise<VpdAnswer> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, OPEN_FLAGS);
    return answerOf(await readUntilKnown(file));
  } catch (error) {
    const errno = errnoOf(error);
    return NOT_READABLE.includes(errno) ? { serial: null, problem: null } : failed(`vpd cannot be read: ${errno}`);
  } finally {
    await file?.close().catch(() => undefined);
  }
}

/** The serial number stands near the front: to read on from there would only take time. */
async function readUntilKnown(file: FileHandle): Promise<VpdReading> {
  const bytes = Buffer.alloc(VPD_BYTES_MAX);
  for (let filled = 0; ;) {
    const { bytesRead } = await file.read(bytes, filled, Math.min(CHUNK_BYTES, bytes.length - filled), filled);
    filled += bytesRead;
    const reading = readSerialNumber(bytes.subarray(0, filled));
    if (reading.kind !== 'incomplete') return reading;
    if (bytesRead === 0 || filled === bytes.length) return { kind: 'malformed', problem: 'it ends too early' };
  }
}

function answerOf(reading: VpdReading): VpdAnswer {
  if (reading.kind === 'malformed') return failed(`vpd tells no serial number: ${reading.problem}`);
  return { serial: reading.kind === 'serial' ? reading.serial : null, problem: null };
}

function failed(problem: string): VpdAnswer {
  return { serial: null, problem };
}
