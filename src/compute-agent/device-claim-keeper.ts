import { randomUUID } from 'node:crypto';
import { messageOf } from '../errors.js';
import type { ReleasedDevice } from '../messages/bodies.js';
import {
  CLAIM_HELD_BY_MAX,
  CLAIM_MESSAGE_MAX,
  DEVICE_CLAIMS_MAX,
  type SetDeviceClaims,
  type WireClaimedDeviceState,
  type WireDeviceClaim,
  type WireDeviceClaimState,
} from '../messages/device-claim-bodies.js';
import type { Address } from '../pci/address.js';
import { canonicalJson } from '../pci/canonical-json.js';
import type { OriginalState } from '../pci/device.js';
import { BindingError } from './binding-error.js';
import { endsUnblocked } from './blocked-work.js';
import { checkClaim } from './claim-checks.js';
import { assertWholeGroup, assertWithoutVfs } from './device-claim-checks.js';
import type { DeviceClaimOrders } from './device-claim-orders.js';
import type { ClaimRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import type { KeyedQueue } from './keyed-queue.js';
import { Passes } from './passes.js';
import { isBound, modesOf, prepareDevices, releaseDevices, type BinderHost } from './vfio-binder.js';
import { driverOf, isOnVfio } from './vfio-binder-writes.js';

/** A kernel that has refused is asked again after this. */
const RETRY_AFTER_MS = 600_000;

export interface DeviceClaimKeeperOptions {
  /** With the journal of the servers' claims, as what these have is not touched; without aftercare, as nothing here was a server's. */
  readonly binder: BinderHost;
  /** Of device claims only. Its claims are attempts: an attempt that failed is over, and `serverId` is the device claim's id. */
  readonly journal: Journal;
  readonly readOnly: boolean;
  /** Shared with the commands: who works on a device waits for each other. */
  readonly queue: KeyedQueue;
  readonly orders: DeviceClaimOrders;
}

type Told = Omit<WireDeviceClaimState, 'claim_id' | 'ends' | 'devices'>;

const WELL = { step: null, errno: null, held_by: null, message: null } as const;

/** What the kernel refused, as matters stood then. */
interface Refusal {
  readonly key: string;
  readonly error: BindingError;
  readonly at: number;
}

/**
 * Keeps devices bound ahead of use, as device claims of the ledger say: at the start before servers' claims are bound again, and ever
 * after. A claim that ends gives its devices back to the drivers that they had, as soon as no server has one of them.
 *
 * A server that gets such a device finds it bound, and leaves it so: to the server's claim vfio-pci is the driver that it had.
 */
export class DeviceClaimKeeper {
  private readonly host: BinderHost;
  private readonly told = new Map<string, WireDeviceClaimState>();
  private readonly refusals = new Map<string, Refusal>();
  /** Claims that are worked on, or wait for other work on their devices: that one is blocked is known only of these. */
  private readonly running = new Set<string>();
  /** Of these, those that no pass waits for any more. */
  private readonly behind = new Set<string>();
  /** What became of the devices of claims that have ended in this life. */
  private readonly ended = new Map<string, readonly ReleasedDevice[]>();
  private readonly passes = new Passes(() => this.pass());
  private changed: () => void = () => undefined;

  constructor(private readonly options: DeviceClaimKeeperOptions) {
    this.host = { ...options.binder, journal: options.journal };
  }

  /** How it stands, in the order of the ledger. */
  states(): readonly WireDeviceClaimState[] {
    const { orders } = this.options;
    // What ends because the centre does not order it is no news to the centre.
    return (orders.areKnown ? orders.all() : this.wanted()).flatMap((order) => {
      const known = this.told.get(order.claim_id);
      const now = this.blockedNow(order) ?? (known?.ends === isEnding(order) ? known : undefined);
      return now ? [now] : [];
    });
  }

  /** How devices were that are kept bound. */
  originals(): Map<Address, OriginalState> {
    return this.options.journal.originals();
  }

  /** The first pass, before servers' claims are bound again: a companion with its own driver would keep their groups from them. */
  async restore(): Promise<void> {
    if (await this.passes.runFirst()) return;
    this.host.log('error', 'Device claims are not as they shall be yet; the agent starts without them', {});
  }

  /** Looks at this interval from now on. @param changed an outcome is another */
  start(intervalMs: number, changed: () => void): void {
    this.changed = changed;
    this.passes.start(intervalMs);
  }

  /** Takes over what the ledger says. Resolves when it is done, refused, or blocked. */
  async take(order: SetDeviceClaims): Promise<void> {
    const isNews = await this.options.orders.take(order);
    await (isNews ? this.keepAnew() : this.keep());
  }

  /** {@link keep}, also where the kernel has refused before: somebody asks. */
  async keepAnew(): Promise<void> {
    this.refusals.clear();
    await this.keep();
  }

  /** Resolves after a pass that began after this call. Never fails. */
  keep(): Promise<void> {
    return this.passes.run();
  }

  stop(): Promise<void> {
    return this.passes.stop();
  }

  private async pass(): Promise<void> {
    const wanted = this.wanted();
    for (const known of [this.told, this.ended, this.refusals]) {
      for (const id of known.keys()) if (!wanted.some(({ claim_id }) => claim_id === id)) known.delete(id);
    }
    await Promise.all(wanted.map((order) => this.settle(order)));
  }

  /** With what only the journal has: it ends once the centre was heard, and is kept until then. */
  private wanted(): WireDeviceClaim[] {
    const { orders, journal } = this.options;
    const ordered = orders.all();
    const strays = journal.claims().filter(({ serverId }) => !ordered.some(({ claim_id }) => claim_id === serverId));
    return [...ordered, ...strays.map((record) => strayOf(record, orders.areKnown))].slice(0, DEVICE_CLAIMS_MAX);
  }

  private async settle(order: WireDeviceClaim): Promise<void> {
    const { claim_id: claimId } = order;
    if (this.running.has(claimId)) return;
    const ends = isEnding(order);
    const record = this.recordOf(claimId);
    const addresses = [...order.devices, ...(record?.devices ?? [])].map(({ address }) => address);
    const run = async (): Promise<void> => {
      try {
        this.tell(order, await (ends ? this.end(order) : this.enable(order)));
      } catch (error) {
        this.tell(order, refusedBy(error));
      } finally {
        this.running.delete(claimId);
        // What was said meanwhile has waited for it.
        if (this.behind.delete(claimId)) void this.keep();
      }
    };
    this.running.add(claimId);
    const working = this.options.queue.run([...new Set([claimId, ...addresses])], run);
    if (await endsUnblocked(this.options.binder.problems, { claimId, addresses }, working)) return;
    this.behind.add(claimId);
    this.changed();
  }

  private async enable(order: WireDeviceClaim): Promise<Told> {
    const { claim_id: claimId, devices } = order;
    const { sysfsRoot, log } = this.host;
    const found = this.recordOf(claimId);
    const server = this.serverOf(devices);
    if (server && !this.mayBind(found, server)) return heldBy(server);
    assertWholeGroup(sysfsRoot, order);
    if (found && this.isEnabled(found)) return { state: 'enabled', ...WELL };
    if (this.options.readOnly) throw readOnly(order.address);
    const record = await this.withoutRemains(found);
    if (!record) assertWithoutVfs(sysfsRoot, order);
    if (record?.state !== 'preparing') await this.checked(order, record);
    await this.bound(order, record);
    log('info', 'A device claim is enabled', { claimId, address: order.address, devices: devices.length });
    return { state: 'enabled', ...WELL };
  }

  /** What a server has on vfio must not go from it: nothing is begun then that could fail and be undone. After a boot it is not there yet. */
  private mayBind(record: ClaimRecord | null, server: ClaimRecord): boolean {
    if (!record || record.state === 'releasing') return false;
    const isOnIt = server.devices.some(({ address }) => isOnVfio(this.host.sysfsRoot, address));
    return !isOnIt || this.isEnabled(record);
  }

  /** An attempt that could not be undone is undone before the next one. */
  private async withoutRemains(record: ClaimRecord | null): Promise<ClaimRecord | null> {
    if (record?.state !== 'releasing') return record;
    await releaseDevices(this.host, record.claimId);
    return null;
  }

  /** Before anything is noted or touched. What a crash left half-way needs no look: it is finished, or undone. */
  private async checked({ claim_id: claimId, devices: targets }: WireDeviceClaim, known: ClaimRecord | null) {
    const wanted = { claimId: known?.claimId ?? claimId, serverId: claimId, targets };
    await checkClaim(this.host, wanted, await modesOf(this.host, known, wanted));
  }

  /** A refusal of the kernel's is not asked for again and again: each time a driver loses its devices and gets them back. */
  private async bound({ claim_id: claimId, devices: targets }: WireDeviceClaim, record: ClaimRecord | null) {
    const key = canonicalJson(targets.map(({ address }) => [address, driverOf(this.host.sysfsRoot, address)]));
    const before = this.refusals.get(claimId);
    if (before?.key === key && Date.now() - before.at < RETRY_AFTER_MS) throw before.error;
    try {
      await prepareDevices(this.host, { claimId: record?.claimId ?? randomUUID(), serverId: claimId, targets });
      this.refusals.delete(claimId);
    } catch (error) {
      if (error instanceof BindingError && error.code === 'binding.failed') {
        this.refusals.set(claimId, { key, error, at: Date.now() });
      }
      throw error;
    }
  }

  private async end(order: WireDeviceClaim): Promise<Told> {
    const { claim_id: claimId, address } = order;
    const record = this.recordOf(claimId);
    if (!record) return { state: 'released', ...WELL };
    const server = this.serverOf(record.devices);
    if (server) return heldBy(server);
    if (this.options.readOnly) throw readOnly(address);
    const released = await releaseDevices(this.host, record.claimId);
    this.ended.set(claimId, released);
    const outcomes = released.map((device) => `${device.address} ${device.outcome}`);
    this.host.log('info', 'A device claim has ended', { claimId, address, outcomes });
    return { state: 'released', ...WELL };
  }

  private recordOf(claimId: string): ClaimRecord | null {
    return this.options.journal.claims().find(({ serverId }) => serverId === claimId) ?? null;
  }

  private isEnabled(record: ClaimRecord): boolean {
    const { sysfsRoot } = this.host;
    const isThere = record.devices.every(({ address, managed }) => managed !== false || isOnVfio(sysfsRoot, address));
    return record.state === 'prepared' && isThere && isBound(this.host, record);
  }

  /** The claim of a server that has one of the devices. */
  private serverOf(devices: readonly { readonly address: Address }[]): ClaimRecord | null {
    const { journal } = this.options.binder;
    return devices.map(({ address }) => journal.holderOf(address)).find((claim) => claim !== null) ?? null;
  }

  private tell(order: WireDeviceClaim, told: Told): void {
    const { claim_id, address } = order;
    const next = { claim_id, ends: isEnding(order), ...told, devices: this.devicesOf(order) };
    const before = this.told.get(claim_id);
    this.told.set(claim_id, next);
    if (canonicalJson(before ?? null) === canonicalJson(next)) return;
    this.changed();
    if (told.message === null || before?.message === told.message) return;
    this.host.log('warn', 'A device claim is not as it shall be', {
      claimId: claim_id,
      address,
      problem: told.message,
    });
  }

  private devicesOf(order: WireDeviceClaim): WireClaimedDeviceState[] {
    const originals = new Map(this.recordOf(order.claim_id)?.devices.map((device) => [device.address, device]));
    const ended = new Map(this.ended.get(order.claim_id)?.map((device) => [device.address, device]));
    return order.devices.map(({ address }) => {
      const [original, end] = [originals.get(address), ended.get(address)];
      return {
        ...{ address, driver: driverOf(this.host.sysfsRoot, address) },
        ...(original && { original_driver: original.originalDriver }),
        ...(end && { outcome: end.outcome }),
      };
    });
  }

  /** Of work that waits for a program or the kernel. */
  private blockedNow(order: WireDeviceClaim): WireDeviceClaimState | null {
    if (!this.running.has(order.claim_id)) return null;
    const { problems } = this.options.binder;
    const problem = order.devices.map(({ address }) => problems.of(address)).find((one) => one?.state === 'blocked');
    if (!problem) return null;
    const { address, step, errno, heldBy: holder, remedy } = problem;
    return {
      ...{ claim_id: order.claim_id, ends: isEnding(order), state: 'blocked', step, errno },
      held_by: holder?.slice(0, CLAIM_HELD_BY_MAX) ?? null,
      message: `${address} is blocked at ${step}; ${remedy}`.slice(0, CLAIM_MESSAGE_MAX),
      devices: this.devicesOf(order),
    };
  }
}

function isEnding({ ends }: WireDeviceClaim): boolean {
  return ends === true;
}

/** What the journal has, and no order. */
function strayOf({ serverId, devices }: ClaimRecord, ends: boolean): WireDeviceClaim {
  const all = devices.map(({ address, vendorId, productId }) => {
    return { address, vendor_id: vendorId, product_id: productId };
  });
  return { claim_id: serverId, address: devices[0]?.address ?? '', devices: all, ends };
}

function heldBy({ serverId, devices }: ClaimRecord): Told {
  const which = devices.map(({ address }) => address).join(', ');
  const message = `Server ${serverId} has ${which}; it goes on by itself when the server has given it back`;
  return {
    ...{ state: 'blocked', step: 'check', errno: null },
    held_by: `server ${serverId}`,
    message: message.slice(0, CLAIM_MESSAGE_MAX),
  };
}

function refusedBy(error: unknown): Told {
  const told = error instanceof BindingError ? error : null;
  return {
    ...{ state: 'refused', step: told?.step ?? 'check', errno: told?.errno?.slice(0, 32) ?? null, held_by: null },
    message: messageOf(error).slice(0, CLAIM_MESSAGE_MAX),
  };
}

function readOnly(address: Address): BindingError {
  const message = `${address}: this agent only looks: read_only is set`;
  return new BindingError('binding.refused', message, { address, step: 'check' });
}
