import type { DeviceType } from '../src/pci/device.js';
import type { DeviceState, DeviceStatus } from '../src/pci/device-state.js';
import type { NovaHost } from '../src/pci/nova/nova-device-spec.js';
import type { PooledDevice } from '../src/placement/nova/pools.js';
import { type DeviceInput, firstMatch, novaDeviceOf, type PlacedSpec } from './device-spec.js';

export interface ReportedInput extends DeviceInput {
  readonly vendor_id: string;
  readonly product_id: string;
  readonly parent_ifname?: string;
}

/** What the database keeps of a device. */
export interface DeviceRow {
  readonly values: ReportedInput;
  readonly status: DeviceStatus;
  readonly ownerId: string | null;
}

/** The whitelist of a host: whose tags a device has. */
export interface TagSource {
  readonly specs: readonly PlacedSpec[];
  readonly host: NovaHost;
}

/**
 * A device of a host as its tracker holds it. It is one object for its whole life, and pools hold it as it is: what changes
 * here does not move it to another pool.
 */
export class TrackedDevice implements PooledDevice {
  /** In the family as it was tied last; null: no PF. */
  parent: TrackedDevice | null = null;
  /** Reported while the device is in use; taken over when it is freed. */
  waiting: ReportedInput | null = null;
  status: DeviceStatus;
  ownerId: string | null;
  private values: ReportedInput;

  constructor(
    row: DeviceRow,
    private readonly source: TagSource,
  ) {
    this.values = row.values;
    this.status = row.status;
    this.ownerId = row.ownerId;
  }

  get address(): string {
    return this.values.address;
  }

  get vendorId(): string {
    return this.values.vendor_id;
  }

  get productId(): string {
    return this.values.product_id;
  }

  get deviceType(): DeviceType {
    return this.values.dev_type;
  }

  get numaNode(): number | null {
    return this.values.numa_node ?? null;
  }

  get parentAddress(): string | null {
    return this.values.parent_addr ?? null;
  }

  get parentIfname(): string | null {
    return this.values.parent_ifname ?? null;
  }

  get tags(): Readonly<Record<string, unknown>> {
    return firstMatch(this.source.specs, novaDeviceOf(this.values), this.source.host)?.spec.tags ?? {};
  }

  get inUse(): boolean {
    return this.status === 'claimed' || this.status === 'allocated';
  }

  get isThere(): boolean {
    return this.status !== 'removed' && this.status !== 'deleted';
  }

  /** For the state table, with the family as it was tied. */
  get state(): DeviceState {
    return {
      address: this.address,
      deviceType: this.deviceType,
      parentAddress: this.parent?.address ?? null,
      status: this.status,
      ownerId: this.ownerId,
    };
  }

  /** What the report leaves out of the things that Nova keeps beside the columns stays as it was. */
  update(values: ReportedInput): void {
    const { capabilities, parent_ifname } = this.values;
    this.values = {
      ...(capabilities === undefined ? {} : { capabilities }),
      ...(parent_ifname === undefined ? {} : { parent_ifname }),
      ...values,
    };
  }

  take({ status, ownerId }: DeviceState): void {
    this.status = status;
    this.ownerId = ownerId;
  }

  /** What is saved. */
  get row(): DeviceRow {
    const { values, status, ownerId } = this;
    return { values, status, ownerId };
  }
}
