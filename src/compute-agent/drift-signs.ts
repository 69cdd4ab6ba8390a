import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import type { ReportedDevice, ToldDrift } from '../pci/device.js';
import { identityOf } from '../pci/identity.js';
import { bestOf, isLess, readLink, wordsOf, type Link } from '../pci/link-state.js';
import type { AgentLog } from './agent-log.js';
import type { ClaimRecord } from './journal-state.js';
import { driverOf, isOnVfio } from './vfio-binder-writes.js';

/** What changes for a moment is no drift: it has to be seen by two looks at least, and for so long. */
const STEADY_MS = 10_000;
const LOOKS_MIN = 2;
const ABSENT_MAX = 1_000;
/** Those of devices that went are not looked after: forgetting all costs a look more. */
const DOUBTS_MAX = 50_000;
const FILE = 'links.json';

/**
 * Devices that should be with the driver they were bound to for a server, or another one for guests, and are not. A claim that is being
 * prepared or released is on its way; a NIC that goes as its interface stays with the host's driver.
 */
export function strayedIn(claims: readonly ClaimRecord[], sysfsRoot: string): Set<Address> {
  const strayed = claims
    .filter(({ state }) => state === 'prepared')
    .flatMap(({ devices }) => devices.filter(({ netdev }) => netdev === undefined))
    .filter(({ address, vfioDriver }) => driverOf(sysfsRoot, address) !== vfioDriver && !isOnVfio(sysfsRoot, address));
  return new Set(strayed.map(({ address }) => address));
}

/** What a device showed at its best, and whether it is told to be worse. */
interface Remembered {
  readonly best: Link;
  readonly isDegraded: boolean;
}

/** Since when something is otherwise than it is told. */
interface Doubt {
  readonly since: number;
  readonly looks: number;
}

/**
 * What only the agent sees happen to devices: links that are worse than they were, and drivers of the host that took a device from
 * its server. Its words are in the report, and are the same as long as it lasts.
 */
export class DriftSigns {
  private links: Map<string, Remembered>;
  private stolen = new Set<Address>();
  private readonly doubts = new Map<string, Doubt>();

  private constructor(
    private readonly stateDir: string,
    links: ReadonlyMap<string, Remembered>,
    private readonly log: AgentLog,
    private readonly now: () => number,
  ) {
    this.links = new Map(links);
  }

  /** Never fails: without what a former life has seen, the links are at their best as they are. */
  static async open(stateDir: string, log: AgentLog, now = () => performance.now()): Promise<DriftSigns> {
    const text = await readFile(join(stateDir, FILE), 'utf8').catch(() => '[]');
    return new DriftSigns(stateDir, linksIn(text), log, now);
  }

  /**
   * The devices with what happened to them.
   *
   * @param strayed devices that a server has, and that are with no driver for guests
   */
  async fillIn(devices: readonly ReportedDevice[], strayed: ReadonlySet<Address>): Promise<ReportedDevice[]> {
    const links = new Map<string, Remembered>();
    const stolen = new Set<Address>();
    const seen = devices.map((device) => {
      const signs = [...this.theft(device, strayed, stolen), ...this.degradation(device, links)];
      return signs.length === 0 ? device : { ...device, drift: signs };
    });
    this.stolen = stolen;
    // a card that is put back is compared with what it was before it was pulled
    const absent = [...this.links].filter(([key]) => !links.has(key)).slice(0, ABSENT_MAX);
    for (const [key, known] of absent) links.set(key, known);
    await this.remember(links);
    return seen;
  }

  private theft(device: ReportedDevice, strayed: ReadonlySet<Address>, stolen: Set<Address>): ToldDrift[] {
    const { address, driver } = device;
    if (!this.settled(`driver ${address}`, strayed.has(address), this.stolen.has(address))) return [];
    stolen.add(address);
    const now = driver === null ? 'it has no driver' : `its driver is ${driver}`;
    return [{ kind: 'driver_stolen', reason: `${now}, although a server has it` }];
  }

  private degradation(device: ReportedDevice, links: Map<string, Remembered>): ToldDrift[] {
    const link = readLink(device);
    const { place, card } = identityOf(device);
    // another slot may be a slower one, and another card too: that is no wear
    const key = [place, card ?? '', device.vendorId, device.productId].join(' ');
    const known = this.links.get(key);
    if (link === null) {
      // asleep, or on its way out: what was known stays
      if (known) links.set(key, known);
      return known?.isDegraded ? [degraded(known.best)] : [];
    }
    const best = bestOf(known?.best ?? link, link);
    const isDegraded = this.settled(`link ${key}`, isLess(link, best), known?.isDegraded ?? false);
    links.set(key, { best, isDegraded });
    return isDegraded ? [degraded(best)] : [];
  }

  /** What holds from here on: the old until the new has been seen for long enough. */
  private settled(key: string, seen: boolean, held: boolean): boolean {
    if (seen === held) {
      this.doubts.delete(key);
      return held;
    }
    if (this.doubts.size > DOUBTS_MAX) this.doubts.clear();
    const { since, looks } = this.doubts.get(key) ?? { since: this.now(), looks: 0 };
    this.doubts.set(key, { since, looks: looks + 1 });
    if (looks + 1 < LOOKS_MIN || this.now() - since < STEADY_MS) return held;
    this.doubts.delete(key);
    return seen;
  }

  private async remember(links: Map<string, Remembered>): Promise<void> {
    const isNew = links.size !== this.links.size || JSON.stringify([...links]) !== JSON.stringify([...this.links]);
    this.links = links;
    if (!isNew) return;
    try {
      const temporary = join(this.stateDir, `${FILE}.new`);
      await writeFile(temporary, JSON.stringify([...links]), { mode: 0o600 });
      await rename(temporary, join(this.stateDir, FILE));
    } catch (error) {
      this.log('warn', 'What links were like is not remembered beyond this life', { problem: messageOf(error) });
    }
  }
}

/** In the words of what it was: what it is now flickers. */
function degraded(best: Link): ToldDrift {
  return { kind: 'link_degraded', reason: `its PCIe link was ${wordsOf(best)} at its best, and is less now` };
}

function linksIn(text: string): Map<string, Remembered> {
  try {
    const entries: unknown = JSON.parse(text);
    return new Map((entries as [unknown, unknown][]).filter(isEntry));
  } catch {
    return new Map();
  }
}

function isEntry(entry: unknown): entry is [string, Remembered] {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string') return false;
  const { best, isDegraded } = (entry[1] ?? {}) as Partial<Remembered>;
  const isNumber = (value: unknown): boolean => value === null || (typeof value === 'number' && Number.isFinite(value));
  return typeof isDegraded === 'boolean' && isNumber(best?.width) && isNumber(best?.speedGts);
}
