import { describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { Ledger1763600000000 } from '../../migrations/1763600000000-ledger.js';
import { AliasVersions1763700000000 } from '../../migrations/1763700000000-alias-versions.js';
import { ANY_DEVICE, type AliasDefinition } from '../../src/pci/alias/alias.js';
import { listAliasVersions, VERSIONS_MAX } from '../../src/store/alias-versions.store.js';
import {
  type AliasSync,
  deleteAlias,
  findAlias,
  findAliasDefinitions,
  forgetAliasOrigin,
  insertAlias,
  lockAlias,
  syncFileAliases,
  updateAlias,
} from '../../src/store/catalog.store.js';
import { forgetOrigin } from '../../src/store/forget-origin.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { listDevicesTaken } from '../../src/store/inventory-views.store.js';
import { onLedger } from '../support/ledger.js';
import type { TestDatabase } from '../support/postgres.js';
import { aReport } from '../support/reports.js';

let database: TestDatabase;
let source: DataSource;

onLedger((opened, its) => {
  source = opened;
  database = its;
});

const alias = (name: string, productId: string): AliasDefinition => ({
  name,
  numaPolicy: 'legacy',
  specs: [{ ...ANY_DEVICE, vendorId: '10de', productId, deviceType: 'type-PCI' }],
});

const sync = (origin: string, ...aliases: AliasDefinition[]): Promise<AliasSync> =>
  source.transaction((tx) => syncFileAliases(tx, origin, aliases));

const NOTHING: AliasSync = { added: [], changed: [], removed: [], behind: [] };

/** `version product owner…` of what is in force; an owner that says something else in brackets. */
async function shown(name: string): Promise<string | null> {
  const row = await findAlias(source.manager, name);
  const owners = row?.owners.map(({ origin, current }) => (current ? origin : `(${origin})`)) ?? [];
  return row && [row.version, row.specs[0]?.productId, ...owners].join(' ');
}

/** `version change by` of every version, newest first. */
async function history(name: string): Promise<string[]> {
  const rows = await listAliasVersions(source.manager, name, { before: null, limit: VERSIONS_MAX * 2 });
  return rows.map((row) => `${row.version} ${row.change} ${row.specs[0]?.productId} ${row.changed_by}`);
}

describe('aliases of files with several origins', () => {
  it('are shared by all that say the same, and gone when nobody says them', async () => {
    expect(await sync('a', alias('gpu', '0001'), alias('nic', '0002'))).toEqual({ ...NOTHING, added: ['gpu', 'nic'] });
    expect(await sync('b', alias('gpu', '0001'))).toEqual(NOTHING);
    expect(await shown('gpu')).toBe('1 0001 a b');
    expect(await sync('a')).toEqual({ ...NOTHING, removed: ['nic'] });
    expect(await shown('gpu')).toBe('1 0001 b');
    expect(await sync('b')).toEqual({ ...NOTHING, removed: ['gpu'] });
    expect(await source.query('SELECT 1 FROM alias_origins')).toEqual([]);
    expect(await history('gpu')).toEqual(['2 deleted 0001 file:b', '1 created 0001 file:a']);
  });

  it('are refused, all together, when two origins never agreed; nothing of the second is taken', async () => {
    await sync('a', alias('gpu', '0001'), alias('nic', '0001'));
    const second = sync('b', alias('fpga', '0003'), alias('gpu', '0002'), alias('nic', '0002'));
    await expect(second).rejects.toMatchObject({
      code: 'settings.invalid',
      details: {
        problems: [
          expect.stringMatching(
            /^alias gpu: the files of b give it other specs than those of a \(read 20.*UTC\); make/,
          ),
          expect.stringMatching(/^alias nic: .*`berth alias forget-origin a`$/),
        ],
      },
    });
    expect([await shown('gpu'), await shown('nic'), await shown('fpga')]).toEqual(['1 0001 a', '1 0001 a', null]);
    expect(await source.query('SELECT origin FROM alias_origins')).toEqual([{ origin: 'a' }]);
  });

  it('change from machine to machine, and one that starts with the old files in between undoes nothing', async () => {
    for (const origin of ['a', 'b', 'c']) await sync(origin, alias('gpu', '0001'));
    expect(await sync('a', alias('gpu', '0002'))).toEqual({ ...NOTHING, changed: ['gpu'] });
    expect(await shown('gpu')).toBe('2 0002 a (b) (c)');
    expect(await sync('b', alias('gpu', '0001'))).toEqual({ ...NOTHING, behind: ['gpu'] });
    await expect(sync('c', alias('gpu', '0003'))).rejects.toMatchObject({ code: 'settings.invalid' });
    expect(await sync('b', alias('gpu', '0002'))).toEqual(NOTHING);
    expect(await sync('c', alias('gpu', '0002'))).toEqual(NOTHING);
    expect(await shown('gpu')).toBe('2 0002 a b c');
  });

  it('fall back to what the others have when the origin of a change takes them out', async () => {
    await sync('a', alias('gpu', '0001'));
    await sync('b', alias('gpu', '0001'));
    await sync('a', alias('gpu', '0002'));
    expect(await sync('a')).toEqual({ ...NOTHING, changed: ['gpu'] });
    expect(await shown('gpu')).toBe('3 0001 b');
  });

  it('go with an origin that is forgotten', async () => {
    await sync('gone', alias('gpu', '0001'), alias('nic', '0001'));
    await sync('b', alias('nic', '0001'));
    expect(await source.transaction((tx) => forgetAliasOrigin(tx, 'gone'))).toEqual({ ...NOTHING, removed: ['gpu'] });
    expect(await history('gpu')).toEqual(['2 deleted 0001 forgotten:gone', '1 created 0001 file:gone']);
    expect(await shown('nic')).toBe('1 0001 b');
    expect(await source.transaction((tx) => forgetAliasOrigin(tx, 'gone'))).toBeNull();
    await sync('b', alias('gpu', '0002'), alias('nic', '0002'));
    expect([await shown('gpu'), await shown('nic')]).toEqual(['3 0002 b', '2 0002 b']);
  });

  it('can be forgotten from the command line, which names the origins that there are', async () => {
    await sync('a', alias('gpu', '0001'));
    await sync('b', alias('gpu', '0001'));
    await expect(forgetOrigin(database.url, 'c')).rejects.toMatchObject({
      code: 'settings.invalid',
      message: 'No origin "c" defines aliases; there are: a, b',
    });
    expect(await forgetOrigin(database.url, 'a')).toEqual(NOTHING);
    expect(await forgetOrigin(database.url, 'b')).toEqual({ ...NOTHING, removed: ['gpu'] });
  });

  it('take over what was there before origins were written down', async () => {
    await source.query(
      `INSERT INTO aliases (id, name, numa_policy, specs, source) VALUES
         (gen_random_uuid(), 'gpu', 'legacy', $1, 'file'), (gen_random_uuid(), 'old', 'legacy', $1, 'file')`,
      [JSON.stringify(alias('', '0001').specs)],
    );
    expect(await sync('a', alias('gpu', '0001'))).toEqual({ ...NOTHING, removed: ['old'] });
    expect(await shown('gpu')).toBe('1 0001 a');
  });

  it('never end in a mixture when origins start together', async () => {
    const aliases = (productId: string) => ['x', 'y', 'z'].map((name) => alias(name, productId));
    const answers = await Promise.allSettled(['0001', '0002', '0003'].map((id) => sync(`o-${id}`, ...aliases(id))));
    const taken = answers.filter((answer) => answer.status === 'fulfilled');
    expect(taken).toHaveLength(1);
    const ids = await source.query(`SELECT DISTINCT specs -> 0 ->> 'productId' AS id FROM aliases`);
    expect(ids).toHaveLength(1);
    expect(await source.query('SELECT DISTINCT origin FROM file_aliases')).toEqual([{ origin: `o-${ids[0].id}` }]);
  });

  it('refuse a name of the REST face, and a REST alias stays out of their way', async () => {
    expect(await source.transaction((tx) => insertAlias(tx, alias('gpu', '0001')))).toBe(true);
    await expect(sync('a', alias('gpu', '0001'))).rejects.toThrow(
      'alias gpu: the files of a define it, and it was made through REST; take it out of the files, or DELETE /v1/aliases/gpu',
    );
    await sync('a', alias('nic', '0001'));
    expect(await source.transaction((tx) => insertAlias(tx, alias('nic', '0002')))).toBe(false);
    expect([await shown('gpu'), await shown('nic')]).toEqual(['1 0001', '1 0001 a']);
  });
});

describe('versions', () => {
  const rest = {
    create: (definition: AliasDefinition) => source.transaction((tx) => insertAlias(tx, definition)),
    remove: (name: string) => source.transaction((tx) => deleteAlias(tx, name)),
    change: (definition: AliasDefinition) =>
      source.transaction(async (tx) => {
        const row = await lockAlias(tx, definition.name);
        if (row) await updateAlias(tx, row, definition);
      }),
  };

  it('go on counting when a name is deleted and made again, by whom ever', async () => {
    await rest.create(alias('gpu', '0001'));
    await rest.change(alias('gpu', '0002'));
    await rest.change(alias('gpu', '0002'));
    await rest.remove('gpu');
    await sync('a', alias('gpu', '0003'));
    expect(await shown('gpu')).toBe('4 0003 a');
    expect(await history('gpu')).toEqual([
      '4 created 0003 file:a',
      '3 deleted 0002 rest',
      '2 changed 0002 rest',
      '1 created 0001 rest',
    ]);
    expect(await findAliasDefinitions(source.manager, ['gpu'])).toEqual([{ ...alias('gpu', '0003'), version: 4 }]);
  });

  it('are never given twice when an alias is deleted and made at the same moment', async () => {
    await rest.create(alias('gpu', '0001'));
    for (let round = 0; round < 20; round++) await Promise.all([rest.remove('gpu'), rest.create(alias('gpu', '0001'))]);
    const versions = (await history('gpu')).map((line) => Number(line.split(' ')[0]));
    expect(versions).toEqual(versions.map((_, index) => versions.length - index));
  });

  it('are kept up to a limit, the latest of each name', async () => {
    await rest.create(alias('gpu', '0001'));
    await rest.create(alias('nic', '0001'));
    await source.query(
      `INSERT INTO alias_versions (name, version, numa_policy, specs, source, change, changed_by)
       SELECT 'gpu', n, 'legacy', '[]', 'rest', 'changed', 'rest' FROM generate_series(2, $1::integer) n`,
      [VERSIONS_MAX],
    );
    await rest.change(alias('gpu', '0002'));
    const [latest, ...older] = await history('gpu');
    expect(latest).toBe(`${VERSIONS_MAX + 1} changed 0002 rest`);
    expect(older).toHaveLength(VERSIONS_MAX - 1);
    expect(older.at(-1)).toMatch(/^2 /);
    expect(await history('nic')).toHaveLength(1);
  });
});

describe('devices that an alias takes', () => {
  const filter = {
    ...{ host: null, vendorId: null, productId: null, deviceType: null, status: null, offered: null },
    ...{ numaNode: null, iommuGroup: null, serverId: null },
  };

  it('are all found, in their order, with a bound on what is read for one page', async () => {
    const devices = Array.from({ length: 13 }, (_, index) => ({
      address: `0000:${(index + 1).toString(16).padStart(2, '0')}:00.0`,
      ids: index % 6 === 5 ? '10de:0001' : '10de:0002',
    }));
    await source.transaction((tx) => absorbReport(tx, aReport({ host: 'node-1', devices })));
    const { specs } = alias('rare', '0001');
    const reads = { chunk: 2, rows: 4 };
    const pages: string[][] = [];
    let after: string | null = null;
    do {
      const page = await listDevicesTaken(source.manager, filter, specs, { after, limit: 5 }, reads);
      pages.push(page.rows.map((row) => row.address));
      after = page.continueAfter;
    } while (after !== null);
    expect(pages).toEqual([[], ['0000:06:00.0'], ['0000:0c:00.0'], []]);
    const whole = await listDevicesTaken(source.manager, filter, specs, { after: null, limit: 5 });
    expect(whole).toMatchObject({
      rows: [{ address: '0000:06:00.0' }, { address: '0000:0c:00.0' }],
      continueAfter: null,
    });
  });
});

describe('the migration to versions', () => {
  const OLD_SPEC = { vendorId: '10de', productId: '1bb0', deviceType: 'type-PCI', resourceClass: null };
  const NEW_FIELDS = {
    ...{ forbiddenTraits: [], anyTraits: [], tags: {}, withoutTags: [] },
    ...{ selector: null, utility: 0, group: null },
  };
  const oldSpecs = [
    { ...OLD_SPEC, traits: ['CUSTOM_FAST'], liveMigratable: true },
    { ...OLD_SPEC, productId: '1db6', traits: [], liveMigratable: null },
  ];

  it('fills rows of the old shape, keeps what it can of the past, and goes both ways', async () => {
    const runner = source.createQueryRunner();
    try {
      await runner.query('DROP SCHEMA public CASCADE');
      await runner.query('CREATE SCHEMA public');
      await new Ledger1763600000000().up(runner);
      await runner.query(
        `INSERT INTO aliases (id, name, numa_policy, specs, source, version) VALUES
           (gen_random_uuid(), 'gpu', 'required', $1, 'rest', 7), (gen_random_uuid(), 'empty', 'legacy', '[]', 'file', 1)`,
        [JSON.stringify(oldSpecs)],
      );
      const device = { alias: 'gpu', count: 2, specs: oldSpecs, numaPolicy: 'required' };
      for (const devices of [[device, { ...device, alias: 'b' }], []]) {
        await runner.query(
          `INSERT INTO servers (id, name, project_id, status, request) VALUES (gen_random_uuid(), 's', 'p', 'DELETED', $1)`,
          [JSON.stringify({ serverName: 's', vcpus: 1, devices, guestCells: null })],
        );
      }
      const migration = new AliasVersions1763700000000();
      await migration.up(runner);
      await migration.down(runner);
      await migration.up(runner);

      const specs = oldSpecs.map((spec) => ({ ...NEW_FIELDS, ...spec }));
      expect(await runner.query('SELECT name, specs FROM aliases ORDER BY name')).toEqual([
        { name: 'empty', specs: [] },
        { name: 'gpu', specs },
      ]);
      const filled = { ...device, specs, aliasVersion: null };
      expect(
        await runner.query(`SELECT request FROM servers ORDER BY jsonb_array_length(request -> 'devices')`),
      ).toEqual([
        { request: { serverName: 's', vcpus: 1, devices: [], guestCells: null } },
        { request: { serverName: 's', vcpus: 1, devices: [filled, { ...filled, alias: 'b' }], guestCells: null } },
      ]);
      expect(
        await runner.query(
          'SELECT name, version, numa_policy, specs, change, changed_by FROM alias_versions ORDER BY name',
        ),
      ).toEqual([
        { name: 'empty', version: 1, numa_policy: 'legacy', specs: [], change: 'created', changed_by: 'file:unknown' },
        { name: 'gpu', version: 7, numa_policy: 'required', specs, change: 'changed', changed_by: 'rest' },
      ]);
    } finally {
      await runner.release();
    }
  });
});
