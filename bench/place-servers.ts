import type pg from 'pg';
import { HttpClient } from './http-client.js';
import { drive } from './load.js';
import { compareWithLedger } from './place-check.js';
import { untilFree, type Figures } from './place.js';
import { say } from './print.js';

const PER_ROUND = 500;

/** Servers over REST: from the request to the durable allocation, which is looked for in the ledger. */
export async function measureServers(
  urls: readonly string[],
  ledger: pg.Client,
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
): Promise<Figures> {
  const [url = ''] = urls;
  const client = new HttpClient(url, clients);
  const latencies: number[] = [];
  let [ms, placed, lost, double] = [0, 0, 0, 0];
  for (let round = 0; round === 0 || ms < 1000 * seconds; round++) {
    const load = {
      url,
      connections: clients,
      servers: PER_ROUND,
      pace: 'waiting',
      body: { devices: 'gpu:1' },
    } as const;
    const outcome = await drive(load, ledger);
    const { rows } = await ledger.query<{ id: string; key: string; devices: string[] }>(
      `SELECT s.id, s.id AS key, array_agg(a.device_id::text) AS devices FROM servers s JOIN allocations a ON a.server_id = s.id
        WHERE s.status IN ('BUILD', 'ACTIVE') GROUP BY s.id`,
    );
    const checked = await compareWithLedger(ledger, rows);
    if (round > 0) {
      ms += outcome.placedAfterMs;
      placed += outcome.placed.length;
      latencies.push(...outcome.placed);
    }
    lost += checked.lost + (PER_ROUND - rows.length);
    double += checked.double;
    await Promise.all(rows.map(({ id }) => client.send('DELETE', `/v1/servers/${id}`, null)));
    await untilFree(ledger);
  }
  client.close();
  say(`${placed} servers`);
  return { perSecond: (1000 * placed) / ms, latencies, lost, double };
}
