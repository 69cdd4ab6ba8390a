import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { type Choice, chooseReservation, type Chosen } from '../../placement/choose-reservation.js';
import { type Recurrence, type Window, windowsOf } from '../../placement/reservation-windows.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { Snapshot } from '../../placement/snapshot.js';
import type { Tx } from '../../store/database.js';
import { Ledger } from '../../store/ledger.js';
import { type NewReservedDevice, readTaken } from '../../store/reservation-rows.store.js';
import { rowsOf } from '../../store/reservation-heal.store.js';
import type { ReservationEntity } from '../../store/entities/reservation.entities.js';
import * as reservations from '../../store/reservations.store.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import { type Caller, isAdmin, listedProject, mayKnow } from '../identity/caller.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { assertMarker, pageOf } from '../page.js';
import { DryRunPolicy } from '../placements/placements.service.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { resolveRequest, wisherOf } from '../servers/resolve-request.js';
import { projectReservationView, reservationSummaryView, reservationView } from './reservation.views.js';
import type {
  ReservationBody,
  ReservationChangeBody,
  ReservationPageView,
  ReservationsQuery,
  ReservationView,
} from './reservations.dto.js';

export const RESERVATIONS_PATH = '/v1/reservations';

/** How often devices are chosen anew because somebody else was quicker. Each time, somebody else has got something. */
const ROUNDS_MAX = 100;
/** So many rows a reservation has: devices in all windows. */
const ROWS_MAX = 20_000;
const REASONS_SHOWN_MAX = 10;

@Injectable()
export class ReservationsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
    private readonly limits: HttpLimits,
  ) {}

  async list(caller: Caller, query: ReservationsQuery): Promise<ReservationPageView> {
    const { pool } = this.ledger;
    const limit = this.limits.pageSize(query.limit);
    const exists = async (id: string): Promise<boolean> => (await this.find(caller, id)) !== null;
    const after = await assertMarker(query.marker, exists);
    const filter = { status: query.status ?? null, projectId: listedProject(caller, undefined) };
    const rows = await reservations.listReservations(pool, filter, { after, limit: limit + 1 });
    const page = pageOf(rows, { path: RESERVATIONS_PATH, query, limit }, (row) => row.id);
    return { reservations: page.items.map(reservationSummaryView), next: page.next };
  }

  async show(caller: Caller, id: string): Promise<ReservationView> {
    const { pool } = this.ledger;
    const row = await this.find(caller, id);
    if (!row) throw unknownReservation(id);
    const windows = await reservations.findWindows(pool, id);
    const devices = await reservations.findReservedDevices(pool, id);
    const events = await reservations.findReservationEvents(pool, id);
    const view = reservationView(row, { windows, devices, events });
    return isAdmin(caller) ? view : projectReservationView(view);
  }

  /**
   * Chooses devices and keeps them. Whoever loses a race for a device chooses again.
   *
   * @throws BerthError `reservation.no_devices` with the reasons, `request.invalid`, and what {@link resolveRequest} throws
   */
  async create(caller: Caller, body: ReservationBody, key: GivenKey | null): Promise<Created> {
    const id = randomUUID();
    for (let round = 0; ; round++) {
      try {
        await this.snapshots.refresh();
        return await this.ledger.transaction((tx) =>
          createOnce(tx, { key, path: RESERVATIONS_PATH, body }, id, () => this.reserve(tx, { id, caller }, body)),
        );
      } catch (error) {
        if (!isConflict(error) || round === ROUNDS_MAX) throw error;
      }
    }
  }

  private async reserve(
    tx: Tx,
    { id, caller }: { readonly id: string; readonly caller: Caller },
    body: ReservationBody,
  ): Promise<void> {
    const { request } = await resolveRequest(tx, wisherOf(caller, body.name), body, this.rules);
    assertDevices(request);
    const windows = wantedWindows(body).map(({ start, end }) => {
      return { id: randomUUID(), start: new Date(start), end: new Date(end) };
    });
    const taken = await readTaken(tx, windows, null);
    const snapshot: Snapshot = { hosts: [...this.snapshots.list()], policy: this.scheduling.policy };
    const count = body.count ?? 1;
    const chosen = chooseReservation(snapshot, { request, count }, taken);
    if (chosen.outcome === 'refused') throw refusal(chosen, count, windows[chosen.window]);
    const devices = chosen.choices.flatMap((choice, at) => rowsOfChoice(windows[at]?.id ?? '', choice));
    assertRows(devices.length);
    await reservations.insertReservation(tx, {
      ...{ id, name: body.name, request, count, recurrence: recurrenceColumn(body), onEnd: body.on_end ?? 'keep' },
      ...{ windows, devices, generations: generationsOf(snapshot, devices) },
    });
  }

  /** @throws BerthError `reservation.unknown`, `reservation.invalid_status`, `reservation.conflict`, `request.invalid` */
  async change(caller: Caller, id: string, { name, ends_at, on_end }: ReservationChangeBody): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      if (!(await this.find(caller, id))) throw unknownReservation(id);
      await lockLive(tx, id);
      if (name !== undefined && name !== null) await reservations.renameReservation(tx, id, name);
      if (on_end !== undefined && on_end !== null) await reservations.setOnEnd(tx, id, on_end);
      if (ends_at !== undefined && ends_at !== null) await moveEnd(tx, id, ends_at);
    });
  }

  /** Cancels; a reservation that is over stays as it is. @throws BerthError `reservation.unknown` */
  async cancel(caller: Caller, id: string): Promise<void> {
    if (!(await this.find(caller, id))) throw unknownReservation(id);
    await this.ledger.transaction(async (tx) => {
      const found = await reservations.lockReservation(tx, id);
      if (!found) throw unknownReservation(id);
      if (found.status !== 'cancelled' && found.status !== 'ended') await reservations.cancelReservation(tx, id);
    });
  }

  private async find(caller: Caller, id: string): Promise<ReservationEntity | null> {
    const row = await reservations.findReservation(this.ledger.pool, id);
    return row && mayKnow(caller, row.project_id) ? row : null;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'reservation.conflict';
}

function assertDevices({ devices }: PlacementRequest): void {
  if (devices.length > 0) return;
  throw invalidFields([{ field: 'devices', problem: 'are missing: a reservation keeps devices, name some' }]);
}

/** @throws BerthError `request.invalid` */
function wantedWindows(body: ReservationBody): readonly Window[] {
  const now = Date.now();
  const said = body.starts_at ?? null;
  const first = { start: said === null ? now : Date.parse(said), end: Date.parse(body.ends_at) };
  const found = windowsOf(first, recurrenceOf(body), now);
  if ('windows' in found) return found.windows;
  throw invalidFields([...found.problems]);
}

function recurrenceOf({ recurrence }: ReservationBody): Recurrence | null {
  if (!recurrence) return null;
  const { every, until, count } = recurrence;
  return { every, until: (until ?? null) === null ? null : Date.parse(until as string), count: count ?? null };
}

function recurrenceColumn({ recurrence }: ReservationBody): reservations.NewReservation['recurrence'] {
  return recurrence
    ? { every: recurrence.every, until: recurrence.until ?? null, count: recurrence.count ?? null }
    : null;
}

function rowsOfChoice(windowId: string, choice: Choice): NewReservedDevice[] {
  return choice.flatMap((decision, server) => rowsOf(windowId, { server, decision }));
}

function assertRows(rows: number): void {
  if (rows <= ROWS_MAX) return;
  const problem = `keeps ${rows} devices, counted in each window; at most ${ROWS_MAX}`;
  throw invalidFields([{ field: 'count', problem }]);
}

/** Of the snapshot, not of the decisions: of several on one host each but the first counts on. */
function generationsOf({ hosts }: Snapshot, devices: readonly NewReservedDevice[]): ReadonlyMap<string, number> {
  const named = new Set(devices.map(({ hostId }) => hostId));
  return new Map(hosts.filter(({ id }) => named.has(id)).map(({ id, generation }) => [id, generation]));
}

function refusal(
  { fitting, rejection }: Extract<Chosen, { outcome: 'refused' }>,
  count: number,
  window: { readonly start: Date; readonly end: Date } | undefined,
): BerthError {
  const when = `${window?.start.toISOString()} to ${window?.end.toISOString()}`;
  const message = `${when}: there are devices for ${fitting} of ${count} servers. ${rejection.message}`;
  const errors = rejection.rejections.slice(0, REASONS_SHOWN_MAX).map(({ filter, hostCount, reasons }) => {
    const hosts = `${hostCount} host${hostCount === 1 ? '' : 's'}`;
    return { field: 'devices', problem: `${hosts}, ${filter}: ${reasons.map((reason) => reason.message).join('; ')}` };
  });
  return new BerthError('reservation.no_devices', message, { details: { errors } });
}

async function lockLive(tx: Tx, id: string): Promise<void> {
  const found = await reservations.lockReservation(tx, id);
  if (!found) throw unknownReservation(id);
  if (found.status === 'ended' || found.status === 'cancelled') {
    throw new BerthError('reservation.invalid_status', `Reservation ${found.name} is ${found.status}`);
  }
}

async function moveEnd(tx: Tx, id: string, text: string): Promise<void> {
  const windows = await reservations.findWindows(tx, id);
  const [first] = windows;
  if (!first || windows.length > 1) {
    throw invalidFields([{ field: 'ends_at', problem: 'cannot be moved where there are several windows' }]);
  }
  const window = { start: first.starts_at.getTime(), end: Date.parse(text) };
  const checked = windowsOf(window, null, Math.min(Date.now(), window.start));
  const problems = 'problems' in checked ? [...checked.problems] : [];
  if (window.end <= Date.now()) problems.push({ field: 'ends_at', problem: 'is in the past; cancel the reservation' });
  if (problems.length > 0) throw invalidFields(problems);
  await reservations.moveEnd(tx, id, new Date(window.end));
}

export function unknownReservation(id: string): BerthError {
  return new BerthError('reservation.unknown', `There is no reservation with the id ${id}`);
}
