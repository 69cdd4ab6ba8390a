import { join } from 'node:path';
import { normalizeAddress, type Address } from '../pci/address.js';
import type { AgentLog } from './agent-log.js';
import { readDurable, writeDurably } from './durable-file.js';

/**
 * What is done with a device after a server had it.
 *
 *   cleaning ──exit 0──► passed
 *      │ ▲
 *      │ └─ again, after a pause ── failed, with attempts left
 *      └── failed, with none left; or its reset failed ──► failed
 */
export interface CleaningRecord {
  /** The claim whose release it came after: an answer for another one is an old one. */
  readonly claimId: string;
  readonly address: Address;
  readonly vendorId: string;
  readonly productId: string;
  readonly state: 'cleaning' | 'passed' | 'failed';
  /** Programs that were run and failed. */
  readonly attempts: number;
  /** Why the last attempt failed; null: none has. */
  readonly problem: string | null;
  /** The group of processes under way, and the start of its first as the kernel tells it. */
  readonly process: { readonly pid: number; readonly startedAt: string } | null;
}

const FILE = 'cleaning.json';
const STATES: readonly unknown[] = ['cleaning', 'passed', 'failed'] satisfies CleaningRecord['state'][];

/**
 * The records on disk, one for each device: a newer one of the same device takes the older one's place. What is over stays, as the
 * centre may ask what became of it.
 */
export class CleaningRecords {
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly stateDir: string,
    private records: ReadonlyMap<Address, CleaningRecord>,
  ) {}

  /**
   * A file that is no such journal is set aside: the centre asks, hears that nothing is known, and takes the devices out of use.
   *
   * @throws the system's error when the directory cannot be read or written
   */
  static async open(stateDir: string, log: AgentLog): Promise<CleaningRecords> {
    const warning = 'What is known of cleanings was not usable and is set aside';
    const absent: ReadonlyMap<Address, CleaningRecord> = new Map();
    const records = await readDurable(join(stateDir, FILE), { read: recordsIn, absent, warning }, log);
    return new CleaningRecords(stateDir, records);
  }

  all(): CleaningRecord[] {
    return [...this.records.values()];
  }

  of(address: Address): CleaningRecord | null {
    return this.records.get(address) ?? null;
  }

  ofClaim(claimId: string): CleaningRecord[] {
    return this.all().filter((record) => record.claimId === claimId);
  }

  async put(records: readonly CleaningRecord[]): Promise<void> {
    if (records.length > 0) await this.update((known) => new Map([...known, ...records.map(byAddress)]));
  }

  /** Changes a record, unless a newer one has taken its place meanwhile. */
  change(record: CleaningRecord, change: Partial<CleaningRecord>): Promise<void> {
    return this.update((known) => {
      const now = known.get(record.address);
      return now?.claimId === record.claimId ? new Map([...known, byAddress({ ...now, ...change })]) : known;
    });
  }

  private update(change: (known: ReadonlyMap<Address, CleaningRecord>) => ReadonlyMap<Address, CleaningRecord>) {
    const done = this.writing.then(async () => {
      const next = change(this.records);
      await writeDurably(this.stateDir, FILE, { version: 1, records: [...next.values()] });
      this.records = next;
    });
    this.writing = done.catch(() => undefined);
    return done;
  }
}

function byAddress(record: CleaningRecord): [Address, CleaningRecord] {
  return [record.address, record];
}

/** @throws Error when it is something else */
function recordsIn(value: unknown): ReadonlyMap<Address, CleaningRecord> {
  const { version, records } = (value ?? {}) as { version?: unknown; records?: unknown };
  if (version !== 1 || !Array.isArray(records)) throw new Error('it is no list of cleanings');
  return new Map(records.map((record) => byAddress(recordOf(record))));
}

function recordOf(value: unknown): CleaningRecord {
  const { claimId, address, vendorId, productId, state, attempts, problem, process } = (value ?? {}) as Record<
    string,
    unknown
  >;
  const isRecord =
    [claimId, address, vendorId, productId].every((text) => typeof text === 'string') &&
    STATES.includes(state) &&
    Number.isSafeInteger(attempts) &&
    (problem === null || typeof problem === 'string');
  if (!isRecord) throw new Error('a record of a cleaning is damaged');
  return {
    ...{ claimId: claimId as string, vendorId: vendorId as string, productId: productId as string },
    // an address becomes a part of a path
    address: normalizeAddress(address as string),
    ...{ state: state as CleaningRecord['state'], attempts: attempts as number, problem: problem as string | null },
    process: processOf(process),
  };
}

function processOf(value: unknown): CleaningRecord['process'] {
  const { pid, startedAt } = (value ?? {}) as Record<string, unknown>;
  // a group that is not one process's own is never signalled
  return Number.isSafeInteger(pid) && (pid as number) > 1 && typeof startedAt === 'string'
    ? { pid: pid as number, startedAt }
    : null;
}
