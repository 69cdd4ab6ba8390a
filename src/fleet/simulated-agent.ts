import type { AgentReport, AgentStamp, PrepareDevices, ReleaseDevices } from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import type { SetSriov, WireSriovState } from '../messages/sriov-bodies.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { poolsOf } from '../pci/pool.js';
import type { HostContent } from './host-kinds.js';
import { withWishedVfs } from './simulated-vfs.js';

/** What many hosts of one kind share, made once. */
export interface SharedKind extends HostContent {
  readonly hash: string;
  readonly pools: AgentReport['pools'];
}

export function sharedKind(content: HostContent): SharedKind {
  return { ...content, hash: contentHash(content), pools: poolsFor(content.devices) };
}

interface Claim {
  readonly serverId: string;
  readonly addresses: string[];
}

const TOMBSTONES_MAX = 1_000;

/**
 * The agent of one host that exists only here: what it says and answers, without its clock and its bus. What it has is
 * that of its kind until something is bound or changed.
 *
 * Invariant: a claim once released is never prepared again.
 */
export class SimulatedAgent {
  private epoch: number;
  private sequence = 0;
  private hash: string;
  /** null: as the kind has them. */
  private own: WireDevice[] | null = null;
  private readonly claims = new Map<string, Claim>();
  private readonly released = new Set<string>();
  private sriovRevision = 0;
  /** What came of each wish about VFs. */
  private sriov: readonly WireSriovState[] = [];

  constructor(
    readonly host: string,
    private readonly kind: SharedKind,
    now: number,
  ) {
    this.epoch = now;
    this.hash = kind.hash;
  }

  /** A new life on the same host; it remembers what it had prepared, as an agent's journal does. */
  restart(now: number): void {
    this.epoch = Math.max(this.epoch + 1, now);
    this.sequence = 0;
  }

  stamp(): AgentStamp {
    return { host: this.host, epoch: this.epoch, sequence: this.sequence, hash: this.hash };
  }

  heartbeat(): Envelope<'agent.heartbeat'> {
    return envelope('agent.heartbeat', this.stamp());
  }

  /** The next full report. */
  report(): Envelope<'agent.report'> {
    this.sequence += 1;
    const devices = [...this.devices()];
    const pools = this.own === null ? this.kind.pools : poolsFor(devices);
    return envelope('agent.report', { ...this.stamp(), facts: this.facts(), devices, pools });
  }

  private facts(): AgentReport['facts'] {
    return this.sriov.length === 0 ? this.kind.facts : { ...this.kind.facts, sriov: [...this.sriov] };
  }

  devices(): readonly WireDevice[] {
    return this.own ?? this.kind.devices;
  }

  /**
   * @param fails the kernel refuses this time
   */
  prepare(order: PrepareDevices, fails: boolean): Envelope<'devices.prepared' | 'devices.prepare_failed'> {
    const { claim_id, server_id } = order;
    const problem = this.problemWith(order) ?? (fails ? FAILURE : null);
    const signature = { host: this.host, epoch: this.epoch, claim_id, server_id };
    if (problem) return envelope('devices.prepare_failed', { ...signature, ...problem });
    const addresses = order.devices.map(({ address }) => address);
    const bindings = addresses.map((address) => ({
      address,
      driver: 'vfio-pci',
      original_driver: this.kindsDevice(address)?.driver ?? null,
      iommu_group: this.kindsDevice(address)?.iommu_group ?? null,
    }));
    this.claims.set(claim_id, { serverId: server_id, addresses });
    this.drive(addresses, () => 'vfio-pci');
    return envelope('devices.prepared', { ...signature, bindings });
  }

  release({ claim_id, server_id, split_from }: ReleaseDevices): Envelope<'devices.released'> {
    const split = split_from ?? null;
    if (split && !this.claims.has(claim_id)) this.split(split.claim_id, claim_id, split.addresses);
    const addresses = this.claims.get(claim_id)?.addresses ?? [];
    this.claims.delete(claim_id);
    this.bury(claim_id);
    this.drive(addresses, (address) => this.kindsDevice(address)?.driver ?? null);
    const devices = addresses.map((address) => ({
      address,
      outcome: 'restored' as const,
      driver: this.kindsDevice(address)?.driver ?? null,
    }));
    return envelope('devices.released', { host: this.host, epoch: this.epoch, claim_id, server_id, devices });
  }

  /** Takes what is wished of VFs; what came of it is in the next report. VFs of a wish that is forgotten stay. */
  setSriov({ revision, wishes }: SetSriov): void {
    if (revision <= this.sriovRevision) return;
    this.sriovRevision = revision;
    const inUse = new Set([...this.claims.values()].flatMap(({ addresses }) => addresses));
    let devices = this.devices();
    this.sriov = wishes.map((wish) => {
      const wished = withWishedVfs(devices, this.kind.devices, wish, inUse);
      ({ devices } = wished);
      return wished.state;
    });
    this.become(devices);
  }

  /** The last device that nobody uses vanishes, or comes back if one has. @returns its address */
  toggleDevice(): string | null {
    const here = new Set(this.devices().map(({ address }) => address));
    const wished = new Set<string | null>(this.sriov.map(({ address }) => address));
    const back = this.kind.devices.find(
      ({ address, parent_address }) => !here.has(address) && !wished.has(parent_address),
    );
    if (back) {
      this.become(this.kind.devices.filter(({ address }) => here.has(address) || address === back.address));
      return back.address;
    }
    const used = new Set([...this.claims.values()].flatMap(({ addresses }) => addresses));
    const gone = this.kind.devices.findLast(({ address, offer }) => offer !== null && !used.has(address));
    if (!gone) return null;
    this.become(this.devices().filter(({ address }) => address !== gone.address));
    return gone.address;
  }

  private problemWith(order: PrepareDevices): Problem | null {
    const { claim_id, devices } = order;
    const here = new Map(this.devices().map((device) => [device.address, device]));
    const gone = devices.find(({ address, vendor_id, product_id }) => {
      const device = here.get(address);
      return device?.vendor_id !== vendor_id || device.product_id !== product_id;
    });
    if (gone) return problem('device.missing', 'it is gone, or another card', gone.address);
    if (this.released.has(claim_id)) return problem('claim.released', 'the claim was released before', null);
    const taken = [...this.claims].find(
      ([id, { addresses }]) => id !== claim_id && devices.some(({ address }) => addresses.includes(address)),
    );
    return taken ? problem('device.busy', `claim ${taken[0]} has it`, null) : null;
  }

  private split(from: string, to: string, addresses: readonly string[]): void {
    const claim = this.claims.get(from);
    if (!claim) return;
    const stays = claim.addresses.filter((address) => !addresses.includes(address));
    this.claims.set(from, { ...claim, addresses: stays });
    this.claims.set(to, { ...claim, addresses: claim.addresses.filter((address) => addresses.includes(address)) });
  }

  private bury(claimId: string): void {
    this.released.add(claimId);
    for (const oldest of this.released) {
      if (this.released.size <= TOMBSTONES_MAX) return;
      this.released.delete(oldest);
    }
  }

  private drive(addresses: readonly string[], driverOf: (address: string) => string | null): void {
    const changed = new Set(addresses);
    if (changed.size === 0) return;
    this.become(
      this.devices().map((device) =>
        changed.has(device.address) ? { ...device, driver: driverOf(device.address) } : device,
      ),
    );
  }

  private become(devices: readonly WireDevice[]): void {
    const hash = contentHash({ facts: this.facts(), devices });
    this.hash = hash;
    this.own = hash === this.kind.hash ? null : [...devices];
  }

  private kindsDevice(address: string): WireDevice | undefined {
    return this.kind.devices.find((device) => device.address === address);
  }
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly address: string | null;
  readonly step: string | null;
  readonly errno: string | null;
}

const FAILURE: Problem = {
  code: 'binding.failed',
  message: 'the simulated kernel refused it',
  address: null,
  step: 'unbind',
  errno: 'EBUSY',
};

function problem(code: string, message: string, address: string | null): Problem {
  return { code, message, address, step: 'check', errno: null };
}

function poolsFor(devices: readonly WireDevice[]): AgentReport['pools'] {
  return poolsOf(devices.map(fromWireDevice)).map(({ key, count }) => ({ key: { ...key }, count }));
}
