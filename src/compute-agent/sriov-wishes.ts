import { join } from 'node:path';
import type { SetSriov, WireSriovWish } from '../messages/sriov-bodies.js';
import { normalizeAddress, type Address } from '../pci/address.js';
import { isObject } from '../pci/device-spec/device-spec-fields.js';
import type { AgentLog } from './agent-log.js';
import { readDurable, writeDurably } from './durable-file.js';

const FILE = 'sriov.json';

interface Kept {
  readonly revision: number;
  readonly wishes: readonly WireSriovWish[];
}

/** What the ledger wishes of this host's VFs, on disk: after a reboot it is made true before the centre is heard. */
export class SriovWishes {
  private constructor(
    private readonly stateDir: string,
    private kept: Kept,
  ) {}

  /** A file that cannot be read is set aside: the centre says again what it wishes. @throws the system's error */
  static async open(stateDir: string, log: AgentLog): Promise<SriovWishes> {
    const warning = 'What the centre wished of VFs is not usable and is set aside';
    const absent: Kept = { revision: 0, wishes: [] };
    return new SriovWishes(stateDir, await readDurable(join(stateDir, FILE), { read: keptIn, absent, warning }, log));
  }

  of(address: Address): WireSriovWish | null {
    return this.kept.wishes.find((wish) => wish.address === address) ?? null;
  }

  all(): readonly WireSriovWish[] {
    return this.kept.wishes;
  }

  /** Keeps the latest word. @returns whether it is news */
  async take({ revision, wishes }: SetSriov): Promise<boolean> {
    if (revision <= this.kept.revision) return false;
    const next = { revision, wishes };
    await writeDurably(this.stateDir, FILE, { version: 1, ...next });
    this.kept = next;
    return true;
  }
}

function keptIn(value: unknown): Kept {
  const { version, revision, wishes } = isObject(value) ? value : {};
  if (version !== 1 || !Number.isSafeInteger(revision) || !Array.isArray(wishes)) throw new Error('it is damaged');
  return { revision: revision as number, wishes: wishes.map(wishIn) };
}

/** Addresses become paths; the rest is read where it is used. */
function wishIn(value: unknown): WireSriovWish {
  const { address, revision, vf_count } = isObject(value) ? value : {};
  if (typeof address !== 'string' || !Number.isSafeInteger(revision) || !Number.isSafeInteger(vf_count)) {
    throw new Error('it is damaged');
  }
  return { ...(value as WireSriovWish), address: normalizeAddress(address) };
}
