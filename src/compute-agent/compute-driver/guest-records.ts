import { join } from 'node:path';
import type { WireBinding } from '../../messages/bodies.js';
import { normalizeAddress, type Address } from '../../pci/address.js';
import { isObject } from '../../pci/device-spec/device-spec-fields.js';
import type { AgentLog } from '../agent-log.js';
import { readDurable, writeDurably } from '../durable-file.js';
import type { ComputeDriverName, Guest, GuestNotes } from './compute-driver.js';

const FILE = 'guests.json';
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 *   expected ──► starting ──► running ──► stopping ──► (forgotten)
 *                                ├──► ended ──────────────▲
 *                                └──► stopped ────────────┘
 *
 * `expected`: its devices are not bound yet. `ended`: by itself. `stopped`: as somebody asked. Of these two the server still has the
 * devices, and they start again only when somebody asks for it.
 */
const STATES = ['expected', 'starting', 'running', 'ended', 'stopped', 'stopping'] as const;

export interface GuestRecord extends Guest {
  /** Who runs it. */
  readonly driver: ComputeDriverName;
  readonly state: (typeof STATES)[number];
  /** When it came to this state, milliseconds since 1970. */
  readonly since: number;
  /** Devices that are being plugged in; left out: none. */
  readonly plugging?: readonly Address[];
  /** Of one that ended: why, as far as it is known. */
  readonly message?: string;
  /** Of one that ended: the centre knows. */
  readonly told?: boolean;
  /** The last order that was carried out, and what was wrong; left out: there was none. */
  readonly ordered?: { readonly number: number; readonly problem: string | null };
}

/** What the agent runs, on disk before it runs; what is in memory is what is on disk. */
export class GuestRecords {
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly stateDir: string,
    private records: readonly GuestRecord[],
  ) {}

  /** A file that cannot be read is set aside and shouted about: guests that it knew are not found again. */
  static async open(stateDir: string, log: AgentLog): Promise<GuestRecords> {
    const warning = 'What was known of guests is not usable and is set aside; those that run are not supervised';
    const kept = { read: recordsIn, absent: [], warning };
    return new GuestRecords(stateDir, await readDurable(join(stateDir, FILE), kept, log));
  }

  all(): readonly GuestRecord[] {
    return this.records;
  }

  of(serverId: string): GuestRecord | null {
    return this.records.find((record) => record.serverId === serverId) ?? null;
  }

  /** Of the server, or of the claim that it is there for. */
  find(serverId: string | null, claimId: string): GuestRecord | null {
    return this.records.find((record) => record.serverId === serverId || record.claimId === claimId) ?? null;
  }

  put(record: GuestRecord): Promise<void> {
    return this.update((records) => [...records.filter(({ serverId }) => serverId !== record.serverId), record]);
  }

  remove(serverId: string): Promise<void> {
    return this.update((records) => records.filter((record) => record.serverId !== serverId));
  }

  private update(change: (records: readonly GuestRecord[]) => readonly GuestRecord[]): Promise<void> {
    const done = this.writing.then(async () => {
      const next = change(this.records);
      await writeDurably(this.stateDir, FILE, { version: 1, guests: next });
      this.records = next;
    });
    this.writing = done.catch(() => undefined);
    return done;
  }
}

function recordsIn(value: unknown): readonly GuestRecord[] {
  const { version, guests } = fieldsOf(value);
  if (version !== 1 || !Array.isArray(guests)) throw new Error('it is damaged');
  return guests.map(recordIn);
}

/** Ids and addresses become paths and arguments of programs. */
function recordIn(value: unknown): GuestRecord {
  const record = fieldsOf(value);
  const { serverId, claimId, server, devices, notes, state, since } = record;
  const isSound = isId(serverId) && isId(claimId) && typeof since === 'number';
  if (!isSound || !Array.isArray(devices) || !STATES.some((known) => known === state)) throw new Error('it is damaged');
  const { name, vcpus, memory_mb } = fieldsOf(server);
  if (typeof name !== 'string' || !Number.isSafeInteger(vcpus) || !Number.isSafeInteger(memory_mb)) {
    throw new Error('it is damaged');
  }
  return {
    ...(record as unknown as GuestRecord),
    devices: devices.map(bindingIn),
    notes: fieldsOf(notes) as GuestNotes,
  };
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && ID.test(value);
}

function bindingIn(value: unknown): WireBinding {
  const { address } = fieldsOf(value);
  if (typeof address !== 'string') throw new Error('it is damaged');
  return { ...(value as WireBinding), address: normalizeAddress(address) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw new Error('it is damaged');
}
