import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { readExpiredClaims } from '../../src/store/claim-outcomes.store.js';
import { redateTimesAhead } from '../../src/store/times-ahead.store.js';
import { ask, hostWithGpus, onScheduledLedger, scheduler, SETTINGS, show } from '../support/scheduler-world.js';

let source: DataSource;

onScheduledLedger((opened) => {
  source = opened.source;
});

const redate = (): Promise<number> => source.transaction((tx) => redateTimesAhead(tx, SETTINGS.claimTimeoutMs));

/** As if the clock had been an hour ahead until now. */
async function setBack(): Promise<void> {
  await source.query(`UPDATE servers SET updated_at = updated_at + interval '1 hour'`);
  await source.query(`UPDATE hosts SET last_seen_at = last_seen_at + interval '1 hour'`);
  await source.query(
    `UPDATE claims SET updated_at = updated_at + interval '1 hour', expires_at = expires_at + interval '1 hour'`,
  );
}

async function ahead(): Promise<Record<string, number>> {
  const [row] = (await source.query(
    `SELECT (SELECT count(*)::int FROM servers WHERE updated_at > now()) AS servers,
            (SELECT count(*)::int FROM hosts WHERE last_seen_at > now()) AS hosts,
            (SELECT count(*)::int FROM claims WHERE expires_at > now() + interval '1 minute') AS claims`,
  )) as [Record<string, number>];
  return row;
}

describe('a database whose clock was set back', () => {
  it('brings times that lie ahead back, so that sweeps see the rows again', async () => {
    await hostWithGpus('node-1', 1);
    const id = await ask('vm-1');
    await scheduler().schedule(id);
    expect((await show(id)).task_state).toBe('preparing');
    await setBack();
    expect(await ahead()).toEqual({ servers: 1, hosts: 1, claims: 1 });
    expect(await redate()).toBe(3);
    expect(await ahead()).toEqual({ servers: 0, hosts: 0, claims: 0 });
    await source.query(`UPDATE claims SET expires_at = expires_at - $1::int * interval '1 millisecond'`, [
      SETTINGS.claimTimeoutMs,
    ]);
    expect(await readExpiredClaims(source.manager, 10)).toHaveLength(1);
  });

  it('a release that nobody answered is of now as well', async () => {
    await hostWithGpus('node-1', 1);
    const id = await ask('vm-1');
    await scheduler().schedule(id);
    await source.query(`UPDATE claims SET status = 'releasing', expires_at = NULL`);
    await source.query(`UPDATE servers SET status = 'ERROR', task_state = NULL`);
    await source.query(`UPDATE claims SET updated_at = now() + interval '1 hour'`);
    expect(await redate()).toBe(1);
    expect(await source.query(`SELECT id FROM claims WHERE updated_at > now()`)).toEqual([]);
  });

  it('leaves alone what is of now, and what has ended', async () => {
    await hostWithGpus('node-1', 1);
    await scheduler().schedule(await ask('vm-1'));
    expect(await redate()).toBe(0);
    await source.query(
      `UPDATE servers SET status = 'DELETED', task_state = NULL, updated_at = updated_at + interval '1 hour'`,
    );
    expect(await redate()).toBe(0);
  });
});
