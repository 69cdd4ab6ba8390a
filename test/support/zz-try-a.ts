import { inject, test, expect } from 'vitest';
import { Client } from 'pg';
import { createTestDatabase } from './postgres.js';
import { startRabbitMq } from './rabbitmq.js';
test('db', async () => { const t = Date.now(); const d = await Promise.all([1,2,3].map(() => createTestDatabase(inject('databaseUrl')))); console.log('3 dbs', Date.now() - t);
 const c = new Client({connectionString: d[0]!.url}); await c.connect(); console.log((await c.query("select count(*) from information_schema.tables where table_schema='public'")).rows); await c.end(); for (const x of d) await x.drop(); });
test('two', async () => { await new Promise(r=>setTimeout(r,50000)); });
