import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { DeviceRequest, PlacementRequest } from '../../src/placement/request.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { Deciding } from '../../src/batches/deciding.js';
import { DecisionRecorder } from '../../src/batches/decision-recorder.js';
import { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import type { SchedulerSettings } from '../../src/settings/settings.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { insertServers, lockServerForDelete, markDeleting } from '../../src/store/servers.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from './ledger.js';
import { aReport } from './reports.js';
import { aRequest, POLICY, wants } from './snapshots.js';

export const SETTINGS: SchedulerSettings = {
  ...POLICY,
  maxInstancesPerHost: 50,
  maxIoOpsPerHost: 8,
  placementPolicies: { default: 'spread', aliases: {} },
  attemptsMax: 3,
  claimTimeoutMs: 60_000,
  hostSilentAfterMs: 60_000,
  sweepIntervalMs: 1000,
  batchSizeMax: 64,
  batchDelayMs: 1,
  relayIntervalMs: 20,
  queue: { max: 10, ageingPerMinute: 1, patienceMs: 60_000 },
  preemption: false,
  reservationLeadMs: 3_600_000,
} as Partial<SchedulerSettings> as SchedulerSettings;

let source: DataSource;
let ledger: Ledger;

/** Schedulers on a ledger of the file's own, with agents that answer when they are told to. */
export function onScheduledLedger(setUp: (opened: { source: DataSource; ledger: Ledger }) => void): void {
  Logger.overrideLogger(false);
  onLedger((opened) => {
    source = opened;
    ledger = new Ledger(opened);
    setUp({ source, ledger });
  });
}

/** The same on a ledger that somebody else has opened. */
export function scheduleOn(opened: DataSource): void {
  source = opened;
  ledger = new Ledger(opened);
}

/** A scheduler of its own, with a view of the hosts of its own. */
export function scheduler(differing: Partial<SchedulerSettings> = {}): SchedulingService {
  const cache = new SnapshotCache(source);
  const journal = { keepHours: 0, baseIntervalMs: 1000 };
  const settings = { ...SETTINGS, journal, ...differing };
  return new SchedulingService(new Deciding(ledger, cache, settings, new DecisionRecorder(ledger, cache, journal)));
}

export async function hostWithGpus(host: string, count: number): Promise<void> {
  const devices = Array.from({ length: count }, (_unused, index) => ({
    address: `0000:8${index}:00.0`,
    ids: '10de:1bb0',
  }));
  await source.transaction((tx) => absorbReport(tx, aReport({ host, devices })));
}

export const gpu = (count: number): DeviceRequest => wants('gpu', count, '10de:1bb0');

interface Asked extends Partial<PlacementRequest> {
  readonly gpus?: number;
  readonly wait?: boolean;
}

export async function ask(name: string, { gpus = 1, wait = false, ...more }: Asked = {}): Promise<string> {
  const id = randomUUID();
  const request = aRequest([gpu(gpus)], { serverName: name, ...more });
  await source.transaction((tx) => insertServers(tx, [{ id, flavor: null, request, waits: wait, gang: null }]));
  return id;
}

export async function askTogether(
  count: number,
  countMin: number,
  { gpus = 1, wait = false }: Asked = {},
): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await source.transaction((tx) =>
    insertServers(
      tx,
      ids.map((id, index) => ({
        id,
        flavor: null,
        request: aRequest([gpu(gpus)], { serverName: `vm-${index + 1}` }),
        waits: wait,
        gang: { id: ids[0] ?? '', countMin, place: index + 1 },
      })),
    ),
  );
  return ids;
}

interface Shown {
  readonly name: string;
  readonly status: string;
  readonly task_state: string | null;
  readonly host: string | null;
  readonly fault: { readonly code: string; readonly message: string } | null;
  readonly attempts: number;
}

export async function show(id: string): Promise<Shown> {
  const [row] = (await source.query(
    `SELECT s.name, s.status, s.task_state, h.name AS host, s.fault, s.attempts
       FROM servers s LEFT JOIN hosts h ON h.id = s.host_id WHERE s.id = $1`,
    [id],
  )) as [Shown];
  return row;
}

export async function states(ids: readonly string[]): Promise<string[]> {
  const shown = await Promise.all(ids.map(show));
  return shown.map(({ status, task_state }) => (task_state === null ? status : `${status} ${task_state}`));
}

export async function events(id: string): Promise<string[]> {
  const rows = (await source.query(`SELECT event FROM server_events WHERE server_id = $1 ORDER BY id`, [id])) as {
    event: string;
  }[];
  return rows.map((row) => row.event);
}

/** What the agent of the host answers to everything that is under way. */
export async function agentsAnswer(): Promise<void> {
  const claims = new ClaimsService(ledger, SETTINGS);
  const rows = (await source.query(
    `SELECT c.id, c.status, c.server_id, h.name AS host, h.epoch FROM claims c JOIN hosts h ON h.id = c.host_id
      WHERE c.status IN ('claimed', 'releasing') ORDER BY c.status DESC, c.created_at`,
  )) as { id: string; status: string; server_id: string; host: string; epoch: number }[];
  for (const { id, status, server_id, host, epoch } of rows) {
    const signature = { host, epoch, claim_id: id, server_id };
    if (status === 'releasing') await claims.released({ ...signature, devices: [] });
    else await claims.prepared({ ...signature, bindings: [] });
  }
}

export async function remove(id: string): Promise<void> {
  await source.transaction(async (tx) => {
    await lockServerForDelete(tx, id);
    await markDeleting(tx, id);
  });
  await finishRemoval(id);
}

/** What the scheduler and the agents do when somebody has asked for its deletion. */
export async function finishRemoval(id: string): Promise<void> {
  await new ClaimsService(ledger, SETTINGS).serverDeleted(id);
  await agentsAnswer();
}

export async function waitSince(id: string, minutes: number): Promise<void> {
  await source.query(
    `UPDATE servers SET queued_at = now() - $2::int * interval '1 minute', queue_rank = queue_rank - $2::int WHERE id = $1`,
    [id, minutes],
  );
}
