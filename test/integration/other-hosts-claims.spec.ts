import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import type { Ledger } from '../../src/store/ledger.js';
import { ask, hostWithGpus, onScheduledLedger, scheduler, SETTINGS, show } from '../support/scheduler-world.js';

let source: DataSource;
let claims: ClaimsService;

onScheduledLedger((opened: { source: DataSource; ledger: Ledger }) => {
  source = opened.source;
  claims = new ClaimsService(opened.ledger, SETTINGS);
});

interface Row {
  readonly id: string;
  readonly status: string;
}

/** A host in strange hands says true things about itself, and lies about the claims of another. */
describe('what a host says of claims that are not its own', () => {
  let serverId: string;
  let claim: Row;
  let lie: { host: string; epoch: number; claim_id: string; server_id: string };

  beforeEach(async () => {
    await hostWithGpus('honest', 1);
    serverId = await ask('vm-1');
    await scheduler().schedule(serverId);
    await hostWithGpus('liar', 1);
    claim = await theClaim();
    const [{ epoch } = { epoch: 0 }] = await source.query<{ epoch: number }[]>(
      `SELECT epoch FROM hosts WHERE name = 'liar'`,
    );
    lie = { host: 'liar', epoch, claim_id: claim.id, server_id: serverId };
  });

  async function theClaim(): Promise<Row> {
    const rows = await source.query<Row[]>(
      `SELECT c.id, c.status FROM claims c JOIN hosts h ON h.id = c.host_id WHERE h.name = 'honest'`,
    );
    return rows[0] as Row;
  }

  it('makes no claim prepared', async () => {
    await claims.prepared({ ...lie, bindings: [] });
    await claims.take({ prepared: { ...lie, bindings: [] } });
    expect((await theClaim()).status).toBe('claimed');
  });

  it('fails no claim', async () => {
    const failure = { code: 'binding.failed', message: 'no', address: null, step: 'bind', errno: null };
    await claims.prepareFailed({ ...lie, ...failure } as never);
    expect((await theClaim()).status).toBe('claimed');
    expect((await show(serverId)).status).not.toBe('ERROR');
  });

  it('frees no device that is being given back, alone or among others', async () => {
    await source.query(`UPDATE claims SET status = 'releasing' WHERE id = $1`, [claim.id]);
    await claims.released({ ...lie, devices: [] });
    await Promise.all([
      claims.take({ released: { ...lie, devices: [] } }),
      claims.take({ released: { ...lie, claim_id: serverId, devices: [] } }),
    ]);
    expect((await theClaim()).status).toBe('releasing');
    // and the host's own word does
    const [{ epoch } = { epoch: 0 }] = await source.query<{ epoch: number }[]>(
      `SELECT epoch FROM hosts WHERE name = 'honest'`,
    );
    await claims.released({ ...lie, host: 'honest', epoch, devices: [] });
    expect((await theClaim()).status).toBe('released');
  });
});
