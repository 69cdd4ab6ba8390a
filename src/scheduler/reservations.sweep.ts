import { Injectable } from '@nestjs/common';
import { placementPolicy } from '../batches/deciding.js';
import type { Placement } from '../placement/decision.js';
import { type Healing, healReservation, type KeptWindow, lostServers } from '../placement/heal-reservation.js';
import type { HostSnapshot, Snapshot } from '../placement/snapshot.js';
import type { SchedulerSettings } from '../settings/settings.js';
import type { Fault } from '../store/entities/workload.entities.js';
import type { Ledger } from '../store/ledger.js';
import { releasePlacements } from '../store/placement-releases.store.js';
import { commitHealing, type OpenWindow, readOpenWindows } from '../store/reservation-heal.store.js';
import { readTaken } from '../store/reservation-rows.store.js';
import { passEdges, readLeftOver } from '../store/reservation-windows.store.js';
import { lockServerForDelete, markDeleting } from '../store/servers.store.js';
import type { SnapshotCache } from '../store/snapshot.store.js';
import { TimedSweep } from './timed-sweep.js';

const DELETED_PER_SWEEP_MAX = 500;
const WINDOWS_PER_READ = 100;
/** How many rounds of due reservations one sweep takes, each of a hundred. */
const EDGE_ROUNDS_MAX = 100;

/**
 * Reservations in the course of time: windows that begin and end, servers that go with them, and spares for devices that cannot be
 * had. Each step is idempotent, and safe to run in several schedulers at once.
 */
@Injectable()
export class ReservationsSweep extends TimedSweep {
  constructor(
    private readonly ledger: Ledger,
    private readonly cache: SnapshotCache,
    private readonly settings: SchedulerSettings,
  ) {
    super(settings.sweepIntervalMs);
  }

  override async sweep(): Promise<void> {
    await this.attempt('edges of windows', () => this.passEdges());
    await this.attempt('servers of windows that are over', () => this.deleteLeftOver());
    await this.attempt('spares for reservations', () => this.heal());
  }

  private async passEdges(): Promise<void> {
    for (let round = 0; round < EDGE_ROUNDS_MAX; round++) {
      const edges = await this.ledger.transaction((tx) => passEdges(tx, this.settings.reservationLeadMs));
      for (const { reservationId, name, status } of edges) {
        this.log.log({ message: 'window of reservation', reservation_id: reservationId, name, status });
      }
      if (edges.length === 0) return;
    }
  }

  /** As a request to delete them would. */
  private async deleteLeftOver(): Promise<void> {
    for (const id of await readLeftOver(this.ledger.pool, DELETED_PER_SWEEP_MAX)) {
      await this.ledger.transaction(async (tx) => {
        const server = await lockServerForDelete(tx, id);
        if (!server) await releasePlacements(tx, [id]);
        else if (server.holdsClaim && server.status !== 'DELETING') await markDeleting(tx, id);
      });
      this.log.log({ message: 'server deleted with the window of its reservation', server_id: id });
    }
  }

  private async heal(): Promise<void> {
    let after: string | null = null;
    for (;;) {
      const windows: OpenWindow[] = await readOpenWindows(this.ledger.pool, { after, limit: WINDOWS_PER_READ });
      const last = windows.at(-1);
      if (!last) return;
      await this.cache.refresh();
      for (const window of windows) await this.attempt('spares for a reservation', () => this.healOne(window));
      after = last.id;
    }
  }

  private async healOne(open: OpenWindow): Promise<void> {
    const window: KeptWindow = { ...open, users: new Set(open.users), taken: new Map() };
    const isWhole = lostServers(this.hostsOf(open), window).length === 0;
    if (isWhole && open.fault === null) return;
    const healings = isWhole ? [] : await this.healings(open, window);
    const healed = healings.filter(
      (one): one is Healing & { decision: Placement } => one.decision.outcome === 'placed',
    );
    const fault = faultOf(healings);
    if (healed.length === 0 && fault?.message === open.fault?.message) return;
    const written = await this.ledger.transaction((tx) => commitHealing(tx, { window: open, healed, fault }));
    if (!written) return;
    const facts = { reservation_id: open.reservationId, window_id: open.id, swapped: healed.length };
    if (fault) this.log.warn({ message: 'reservation is degraded', ...facts, problem: fault.message });
    else this.log.log({ message: 'reservation is whole', ...facts });
  }

  private async healings(open: OpenWindow, window: KeptWindow): Promise<Healing[]> {
    const period = { start: open.startsAt, end: open.endsAt };
    const [taken = new Map<string, never>()] = await readTaken(this.ledger.pool, [period], open.reservationId);
    const snapshot: Snapshot = { hosts: [...this.cache.list()], policy: placementPolicy(this.settings) };
    return healReservation(snapshot, { ...window, taken });
  }

  private hostsOf({ kept }: OpenWindow): HostSnapshot[] {
    return [...new Set(kept.map(({ hostId }) => hostId))].flatMap((id) => this.cache.get(id) ?? []);
  }
}

function faultOf(healings: readonly Healing[]): Fault | null {
  const refused = healings.flatMap(({ server, lost, decision }) =>
    decision.outcome === 'rejected' ? [{ server, lost: lost.length, why: decision.message }] : [],
  );
  const [first] = refused;
  if (!first) return null;
  const lost = refused.reduce((sum, one) => sum + one.lost, 0);
  const message = `${lost} device${lost === 1 ? '' : 's'} cannot be had, and there is no spare: ${first.why}`;
  return { code: 'reservation.degraded', message, details: { servers: refused } };
}
