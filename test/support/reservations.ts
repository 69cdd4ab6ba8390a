import type { DataSource } from 'typeorm';
import { LOCAL_ADMIN } from '../../src/api/identity/caller.js';
import { DryRunPolicy } from '../../src/api/placements/placements.service.js';
import { HttpLimits } from '../../src/api/http-limits.js';
import { RequestRules } from '../../src/api/request-rules.js';
import type { ReservationBody, ReservationView } from '../../src/api/reservations/reservations.dto.js';
import { ReservationsService } from '../../src/api/reservations/reservations.service.js';
import { ANY_DEVICE } from '../../src/pci/alias/alias.js';
import type { DeviceType } from '../../src/pci/device.js';
import { ReservationsSweep } from '../../src/scheduler/reservations.sweep.js';
import { insertAlias } from '../../src/store/catalog.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { SETTINGS } from './scheduler-world.js';
import { POLICY } from './snapshots.js';

const HOUR_MS = 3_600_000;

/** A time so many hours from now. */
export function inHours(hours: number): string {
  return new Date(Date.now() + hours * HOUR_MS).toISOString();
}

/** Reservations of a ledger that has an alias `gpu`, as REST and a scheduler treat them. */
export class ReservationsWorld {
  constructor(
    private readonly source: DataSource,
    private readonly ledger: Ledger,
  ) {}

  async addAlias(name = 'gpu', ids = '10de:1bb0', deviceType: DeviceType = 'type-PCI'): Promise<void> {
    const [vendorId = null, productId = null] = ids.split(':');
    const spec = { ...ANY_DEVICE, vendorId, productId, deviceType };
    await this.source.transaction((tx) => insertAlias(tx, { name, numaPolicy: 'legacy', specs: [spec] }));
  }

  /** A REST face of its own, with a view of the hosts of its own. */
  rest(): ReservationsService {
    const cache = new SnapshotCache(this.source);
    const rules = new RequestRules('strict', []);
    return new ReservationsService(this.ledger, cache, new DryRunPolicy(POLICY), rules, new HttpLimits(65_536, 100));
  }

  async reserve(said: Partial<ReservationBody> = {}): Promise<ReservationView> {
    const rest = this.rest();
    const body = { name: 'training', devices: 'gpu:1', starts_at: inHours(24), ends_at: inHours(26), ...said };
    const { id } = await rest.create(LOCAL_ADMIN, body, null);
    return rest.show(LOCAL_ADMIN, id);
  }

  show(id: string): Promise<ReservationView> {
    return this.rest().show(LOCAL_ADMIN, id);
  }

  /** What one scheduler does now and then. */
  async sweep(): Promise<void> {
    await new ReservationsSweep(this.ledger, new SnapshotCache(this.source), SETTINGS).sweep();
  }

  /** As if so much time had gone by for a reservation. */
  async pass(id: string, hours: number): Promise<void> {
    const by = `$2::float8 * interval '1 hour'`;
    await this.source.query(
      `UPDATE reservation_devices SET during = tstzrange(lower(during) - ${by}, upper(during) - ${by})
        WHERE reservation_id = $1`,
      [id, hours],
    );
    await this.source.query(
      `UPDATE reservation_windows SET starts_at = starts_at - ${by}, ends_at = ends_at - ${by} WHERE reservation_id = $1`,
      [id, hours],
    );
  }
}

/** `node-1 0000:80:00.0` of one window. */
export function keptIn({ windows }: ReservationView, window = 0): string[] {
  return (windows[window]?.devices ?? []).map(({ host, address }) => `${host} ${address}`);
}
