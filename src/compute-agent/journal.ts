import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address } from '../pci/address.js';
import type { OriginalState } from '../pci/device.js';
import type { AgentLog } from './agent-log.js';
import { EMPTY_JOURNAL, readJournal, type BlockedStep, type ClaimRecord, type JournalState } from './journal-state.js';
import { errnoOf } from './sysfs-read.js';

/** A release that is older than this many others is forgotten; its number goes on to keep its prepare out. */
const TOMBSTONES_MAX = 10_000;
const FILE = 'journal.json';

/**
 * What the agent has done to this host's devices, on disk before it does it.
 *
 * Invariant: a device that the agent has touched is in a claim here, with the driver it had before.
 * Invariant: a claim that is released, or whose prepare was given up, has a tombstone before its devices are touched again;
 * once that is forgotten, the claim's number is not above `forgottenUpTo`.
 */
export class Journal {
  private state: JournalState;
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly stateDir: string,
    state: JournalState,
    private readonly tombstonesMax: number,
  ) {
    this.state = state;
  }

  /**
   * Reads the journal, or begins one. A file that is not a journal is set aside and shouted about: what it knew of bound
   * devices is lost to the agent, not to whoever reads the file.
   *
   * @param tombstonesMax so many released claims are remembered by their ids
   * @throws the system's error when the directory cannot be read or written
   */
  static async open(stateDir: string, log: AgentLog, tombstonesMax = TOMBSTONES_MAX): Promise<Journal> {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    return new Journal(stateDir, await load(join(stateDir, FILE), log), tombstonesMax);
  }

  /** The next life's number: later than the last, and the clock's where that is later still. */
  async nextEpoch(now: number): Promise<number> {
    const epoch = Math.max(this.state.epoch + 1, now);
    await this.update((state) => ({ ...state, epoch, incarnation: state.incarnation ?? randomUUID() }));
    return epoch;
  }

  /** Whose commands are carried out: random, and another one when the journal was lost. null before the first epoch. */
  get incarnation(): string | null {
    return this.state.incarnation;
  }

  claims(): readonly ClaimRecord[] {
    return this.state.claims;
  }

  claim(claimId: string): ClaimRecord | null {
    return this.state.claims.find((claim) => claim.claimId === claimId) ?? null;
  }

  /** @param number the claim's; 0: it is not known. A claim that is held has not been released, whatever its number. */
  isReleased(claimId: string, number = 0): boolean {
    if (this.state.released.includes(claimId)) return true;
    return number > 0 && number <= this.state.forgottenUpTo && this.claim(claimId) === null;
  }

  /** The claim that holds the device, null when none does. */
  holderOf(address: Address): ClaimRecord | null {
    return this.state.claims.find((claim) => claim.devices.some((device) => device.address === address)) ?? null;
  }

  /** How the devices were that the agent holds. */
  originals(): Map<Address, OriginalState> {
    const devices = this.state.claims.flatMap((claim) => claim.devices);
    return new Map(
      devices.map((device) => [device.address, { driver: device.originalDriver, netdevs: device.originalNetdevs }]),
    );
  }

  /** Before the first write to a device of the claim. */
  begin(claim: Omit<ClaimRecord, 'state'>): Promise<void> {
    return this.put({ ...claim, state: 'preparing' });
  }

  /** Before a PF's VFs are removed. A number that is known already stays: it is the one from before the first removal. */
  async noteVfs(claimId: string, address: Address, vfs: number): Promise<void> {
    const claim = this.claim(claimId);
    if (!claim) return;
    const noted = claim.devices.map((device) =>
      device.address === address ? { ...device, originalVfs: device.originalVfs ?? vfs } : device,
    );
    await this.put({ ...claim, devices: noted });
  }

  /** What the claim waits for; null: for nothing any more. */
  async noteBlocked(claimId: string, blocked: BlockedStep | null): Promise<void> {
    const claim = this.claim(claimId);
    if (!claim) return;
    const { blocked: _before, ...others } = claim;
    await this.put({ ...others, ...(blocked && { blocked }) });
  }

  /** All devices of the claim are bound. */
  async finish(claimId: string): Promise<void> {
    const claim = this.claim(claimId);
    if (claim) await this.put({ ...claim, state: 'prepared' });
  }

  /**
   * A part of a claim becomes a claim of its own, which is to be released. Once: a claim that is known, or was released, stays
   * as it is.
   */
  split(fromId: string, claimId: string, addresses: readonly Address[]): Promise<void> {
    return this.update((state) => {
      const from = state.claims.find((claim) => claim.claimId === fromId);
      const isKnown = state.released.includes(claimId) || state.claims.some((claim) => claim.claimId === claimId);
      if (!from || isKnown) return state;
      const part = from.devices.filter((device) => addresses.includes(device.address));
      const rest = from.devices.filter((device) => !addresses.includes(device.address));
      const others = state.claims.filter((claim) => claim !== from);
      return {
        ...state,
        claims: [
          ...others,
          ...(rest.length > 0 ? [{ ...from, devices: rest }] : []),
          ...(part.length > 0 ? [{ ...from, claimId, devices: part }] : []),
        ],
      };
    });
  }

  /**
   * From here on the claim can only go. A claim that is not known has its tombstone all the same.
   *
   * @param number the claim's; 0: the command does not say
   */
  beginRelease(claimId: string, number = 0): Promise<void> {
    return this.update((state) => ({
      ...state,
      claims: state.claims.map((claim) => (claim.claimId === claimId ? { ...claim, state: 'releasing' } : claim)),
      ...buried(state, claimId, number, this.tombstonesMax),
    }));
  }

  /** The claim's devices are given back. */
  endRelease(claimId: string): Promise<void> {
    return this.update((state) => ({
      ...state,
      claims: state.claims.filter((claim) => claim.claimId !== claimId),
    }));
  }

  private put(claim: ClaimRecord): Promise<void> {
    return this.update((state) => ({
      ...state,
      claims: [...state.claims.filter((other) => other.claimId !== claim.claimId), claim],
    }));
  }

  /** One change after the other; what is in memory is what is on disk. */
  private update(change: (state: JournalState) => JournalState): Promise<void> {
    const done = this.writing.then(async () => {
      const next = change(this.state);
      await writeDurably(this.stateDir, FILE, next);
      this.state = next;
    });
    this.writing = done.catch(() => undefined);
    return done;
  }
}

/** One tombstone more; of the oldest, when there are too many, only the number is kept. */
function buried(
  { released, releasedNumbers, forgottenUpTo }: JournalState,
  claimId: string,
  number: number,
  max: number,
) {
  const known = released.indexOf(claimId);
  const others = {
    ids: released.filter((_id, at) => at !== known),
    numbers: releasedNumbers.filter((_n, at) => at !== known),
  };
  const ids = [...others.ids, claimId];
  const numbers = [...others.numbers, Math.max(number, releasedNumbers[known] ?? 0)];
  const tooMany = Math.max(0, ids.length - max);
  return {
    released: ids.slice(tooMany),
    releasedNumbers: numbers.slice(tooMany),
    forgottenUpTo: Math.max(forgottenUpTo, ...numbers.slice(0, tooMany)),
  };
}

async function load(path: string, log: AgentLog): Promise<JournalState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return EMPTY_JOURNAL;
    throw error;
  }
  const reading = readJournal(text);
  if (reading.state) return reading.state;
  const aside = `${path}.corrupt-${Date.now()}`;
  await rename(path, aside);
  log('error', 'The journal was not usable and is set aside; devices it held bound are not given back by themselves', {
    problem: reading.problem,
    aside,
  });
  return EMPTY_JOURNAL;
}

/**
 * Writes a file of a directory as JSON. After a power cut there is either the old one or the new one, whole; who reads meanwhile sees one of the two.
 *
 * @param mode left out: for the agent's own user only
 */
export async function writeDurably(directory: string, name: string, value: object, mode = 0o600): Promise<void> {
  const path = join(directory, name);
  const temporary = `${path}.new`;
  await withFile(temporary, 'w', async (file) => {
    await file.chmod(mode);
    await file.writeFile(JSON.stringify(value));
    await file.sync();
  });
  await rename(temporary, path);
  // The rename is durable when the directory is.
  await withFile(directory, 'r', (opened) => opened.sync());
}

async function withFile(path: string, flags: string, use: (file: Awaited<ReturnType<typeof open>>) => Promise<void>) {
  const file = await open(path, flags, 0o600);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
