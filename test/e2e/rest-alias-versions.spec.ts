import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ANY_DEVICE, type AliasDefinition } from '../../src/pci/alias/alias.js';
import { syncFileAliases } from '../../src/store/catalog.store.js';
import { inTransaction, ledgerDataSource } from '../../src/store/database.js';
import { type RestApi, startRestApi } from '../support/rest-api.js';

let api: RestApi;
beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
});
afterAll(() => api?.close());

const gpu = (productId: string) => ({ vendor_id: '10de', product_id: productId, device_type: 'type-PCI' });

async function make(name: string, ...productIds: string[]): Promise<void> {
  const [first = '0001', ...others] = productIds;
  await api.http
    .post('/v1/aliases')
    .send({ name, ...gpu(first) })
    .expect(201);
  for (const id of others) await api.http.put(`/v1/aliases/${name}`).send(gpu(id)).expect(200);
}

interface ShownVersion {
  readonly version: number;
  readonly change: string;
  readonly changed_by: string;
  readonly specs: readonly { readonly product_id: string }[];
}

/** `version change product`, newest first. */
async function history(name: string): Promise<string[]> {
  const { body } = await api.http.get(`/v1/aliases/${name}/versions`).expect(200);
  return (body.versions as ShownVersion[]).map(
    ({ version, change, specs }) => `${version} ${change} ${specs[0]?.product_id}`,
  );
}

describe('versions of an alias', () => {
  it('tell everything that it was, also after it is gone and made again', async () => {
    await make('gpu', '0001', '0002', '0002');
    expect((await api.http.get('/v1/aliases/gpu')).body.version).toBe(2);
    await api.http.delete('/v1/aliases/gpu').expect(204);
    expect(await history('gpu')).toEqual(['3 deleted 0002', '2 changed 0002', '1 created 0001']);
    const made = await api.http
      .post('/v1/aliases')
      .send({ name: 'gpu', ...gpu('0003') })
      .expect(201);
    expect(made.body.version).toBe(4);
    expect((await history('gpu'))[0]).toBe('4 created 0003');
    const second = await api.http.get('/v1/aliases/gpu/versions/2').expect(200);
    expect(second.body).toMatchObject({
      name: 'gpu',
      version: 2,
      change: 'changed',
      numa_policy: 'legacy',
      specs: [gpu('0002')],
      source: 'rest',
      origin: null,
      changed_by: 'rest',
    });
  });

  it('come in pages', async () => {
    await make('paged', '0001', '0002', '0003');
    const first = await api.http.get('/v1/aliases/paged/versions?limit=2').expect(200);
    expect(first.body.versions.map((shown: ShownVersion) => shown.version)).toEqual([3, 2]);
    expect(first.body.next).toBe('/v1/aliases/paged/versions?limit=2&marker=2');
    const last = await api.http.get(first.body.next).expect(200);
    expect(last.body).toMatchObject({ versions: [{ version: 1 }], next: null });
    const wrong = await api.http.get('/v1/aliases/paged/versions?marker=paged').expect(400);
    expect(wrong.body.errors).toMatchObject([{ field: 'marker' }]);
  });

  it('have pages also when the name has to be escaped in a path', async () => {
    const name = 'ö/b %2F?';
    const made = await api.http
      .post('/v1/aliases')
      .send({ name, ...gpu('0001') })
      .expect(201);
    await api.http
      .put(made.headers['location'] as string)
      .send(gpu('0002'))
      .expect(200);
    const first = await api.http.get(`${made.headers['location']}/versions?limit=1`).expect(200);
    const last = await api.http.get(first.body.next).expect(200);
    expect(last.body).toMatchObject({ versions: [{ name, version: 1 }], next: null });
  });

  it('are unknown where there are none', async () => {
    await make('short', '0001');
    expect((await api.http.get('/v1/aliases/shor/versions').expect(404)).body).toMatchObject({
      code: 'alias.unknown',
      detail: expect.stringContaining('did you mean "short"?'),
    });
    for (const version of ['2', '0', '01', '1e1', '-1', '99999999999999999999', 'latest']) {
      const answer = await api.http.get(`/v1/aliases/short/versions/${version}`).expect(404);
      expect(answer.body.code, version).toBe('alias.version_unknown');
    }
  });

  it('are counted one by one when many change it at once', async () => {
    await make('busy', '0000');
    const ids = Array.from({ length: 12 }, (_, index) => (0x1000 + index).toString(16));
    const answers = await Promise.all(ids.map((id) => api.http.put('/v1/aliases/busy').send(gpu(id))));
    expect(answers.map((answer) => answer.status)).toEqual(ids.map(() => 200));
    for (const { body, headers } of answers) {
      const kept = await api.http.get(`/v1/aliases/busy/versions/${body.version}`).expect(200);
      expect(kept.body.specs).toEqual(body.specs);
      expect(headers['etag']).toBe(`"${body.version}"`);
    }
    expect(answers.map((answer) => answer.body.version).toSorted((a, b) => a - b)).toEqual(ids.map((_, at) => at + 2));
  });
});

describe('If-Match', () => {
  const put = (name: string, tag: string, productId: string) =>
    api.http.put(`/v1/aliases/${name}`).set('If-Match', tag).send(gpu(productId));

  it('changes and deletes only the version that was read', async () => {
    await make('read', '0001');
    const { headers } = await api.http.get('/v1/aliases/read').expect(200);
    expect(headers['etag']).toBe('"1"');
    expect((await put('read', '"1"', '0002').expect(200)).headers['etag']).toBe('"2"');
    const stale = await put('read', '"1"', '0003').expect(412);
    expect(stale.body).toMatchObject({
      code: 'alias.stale',
      detail: 'Alias "read" is at version 2, and If-Match says "1"; read it again',
    });
    await api.http.delete('/v1/aliases/read').set('If-Match', '"1"').expect(412);
    await put('read', '"9", "2"', '0003').expect(200);
    await put('read', '*', '0004').expect(200);
    await api.http.delete('/v1/aliases/read').set('If-Match', '"4"').expect(204);
  });

  it('lets one of many win', async () => {
    await make('raced', '0001');
    const answers = await Promise.all(['0002', '0003', '0004', '0005'].map((id) => put('raced', '"1"', id)));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 412, 412, 412]);
    const won = answers.find((answer) => answer.status === 200);
    expect((await api.http.get('/v1/aliases/raced')).body.specs).toEqual(won?.body.specs);
  });

  it('is refused when it is no ETag', async () => {
    await make('odd', '0001');
    for (const tag of ['1', '"1', 'W/"1"', '"1" "2"', `"${'1'.repeat(1001)}"`]) {
      const answer = await put('odd', tag, '0002');
      expect([answer.status, answer.body.errors?.[0]?.field], tag).toEqual([400, 'If-Match']);
    }
    expect((await api.http.get('/v1/aliases/odd')).body.version).toBe(1);
  });
});

describe('what an alias can say', () => {
  const FULL = {
    ...gpu('1BB0'),
    resource_class: 'gold',
    traits: ['fast', '!worn', '{hw_a|HW_B}'],
    live_migratable: false,
    tags: { rack: 'r1', trusted: true },
    physical_network: null,
    selector: 'device.numa_node == 1',
    utility: 7,
    group: 'slot',
  };
  const SHOWN = {
    vendor_id: '10de',
    product_id: '1bb0',
    device_type: 'type-PCI',
    resource_class: 'CUSTOM_GOLD',
    traits: ['CUSTOM_FAST'],
    forbidden_traits: ['CUSTOM_WORN'],
    any_traits: [['HW_A', 'HW_B']],
    live_migratable: false,
    tags: { rack: 'r1', trusted: 'true', physical_network: null },
    selector: 'device.numa_node == 1',
    utility: 7,
    group: 'slot',
  };

  it('is written as in files, and what is shown can be written back and means the same', async () => {
    const specs = [FULL, { ...FULL, utility: 0 }];
    const made = await api.http.post('/v1/aliases').send({ name: 'full', specs }).expect(201);
    expect(made.body.specs).toEqual([SHOWN, { ...SHOWN, utility: 0 }]);
    const { numa_policy } = made.body;
    const back = await api.http.put('/v1/aliases/full').send({ numa_policy, specs: made.body.specs }).expect(200);
    expect(back.body).toMatchObject({ version: 1, specs: made.body.specs });
    await make('plain', '0001');
    const plain = (await api.http.get('/v1/aliases/plain')).body;
    const again = await api.http.put('/v1/aliases/plain').send({ specs: plain.specs }).expect(200);
    expect(again.body).toMatchObject({ version: 1, specs: plain.specs });
    const one = await api.http.put('/v1/aliases/plain').send(SHOWN).expect(200);
    expect(one.body).toMatchObject({ version: 2, specs: [SHOWN] });
  });

  it('adds the forms of views to a text of traits', async () => {
    const body = { ...gpu('0001'), traits: 'a, !b', forbidden_traits: ['c'], any_traits: [['d', 'e']] };
    const made = await api.http
      .post('/v1/aliases')
      .send({ name: 'mixed', ...body })
      .expect(201);
    expect(made.body.specs).toMatchObject([
      {
        traits: ['CUSTOM_A'],
        forbidden_traits: ['CUSTOM_B', 'CUSTOM_C'],
        any_traits: [['CUSTOM_D', 'CUSTOM_E']],
      },
    ]);
  });

  it.each<[object, string]>([
    [{ forbidden_traits: 'worn' }, 'specs[0].forbidden_traits'],
    [{ forbidden_traits: ['!worn'] }, 'specs[0].forbidden_traits'],
    [{ forbidden_traits: [7] }, 'specs[0].forbidden_traits'],
    [{ any_traits: ['a'] }, 'specs[0].any_traits'],
    [{ any_traits: [['a}']] }, 'specs[0].any_traits'],
    [{ any_traits: [[]] }, 'specs[0].any_traits'],
  ])('refuses %j', async (wrong, field) => {
    const answer = await api.http.post('/v1/aliases').send({ name: 'wrong', specs: [{ ...gpu('0001'), ...wrong }] });
    expect([answer.status, answer.body.code, answer.body.errors?.[0]?.field]).toEqual([400, 'request.invalid', field]);
  });

  it.each<[object, string]>([
    [{ traits: ['{a|b'] }, 'traits'],
    [{ tags: { dev_type: 'x' } }, 'tags'],
    [{ tags: [] }, 'tags'],
    [{ selector: 'device.' }, 'selector'],
    [{ utility: -1 }, 'utility'],
    [{ group: 'slots' }, 'did you mean "slot"?'],
  ])('leaves the rest to the grammar of files, which refuses %j', async (wrong, told) => {
    const answer = await api.http.post('/v1/aliases').send({ name: 'wrong', specs: [{ ...gpu('0001'), ...wrong }] });
    expect([answer.status, answer.body.code]).toEqual([400, 'alias.invalid']);
    expect(answer.body.detail).toContain('specs[0]');
    expect(answer.body.detail).toContain(told);
  });
});

describe('servers', () => {
  it('show the version of the alias that they were asked for with', async () => {
    await make('served', '0001', '0002');
    const ask = async (name: string): Promise<string> =>
      (await api.http.post('/v1/servers').send({ name, devices: 'served:1' }).expect(202)).body.id as string;
    const early = await ask('early');
    await api.http.put('/v1/aliases/served').send(gpu('0003')).expect(200);
    const late = await ask('late');
    const shown = async (id: string) => (await api.http.get(`/v1/servers/${id}`).expect(200)).body.requested_devices;
    expect(await shown(early)).toMatchObject([{ alias: 'served', alias_version: 2, count: 1 }]);
    expect(await shown(late)).toMatchObject([{ alias: 'served', alias_version: 3, count: 1 }]);
    const asked = await api.http.get('/v1/aliases/served/versions/2').expect(200);
    expect(asked.body.specs).toMatchObject([gpu('0002')]);
  });
});

describe('flavors', () => {
  it('keep the aliases that they name from being deleted, whatever its version', async () => {
    await make('named', '0001', '0002');
    const flavor = { name: 'm1.named', vcpus: 1, ram_mb: 1, extra_specs: { 'pci_passthrough:alias': 'named:1' } };
    await api.http.post('/v1/flavors').send(flavor).expect(201);
    const kept = await api.http.delete('/v1/aliases/named').set('If-Match', '"2"').expect(409);
    expect(kept.body).toMatchObject({ code: 'alias.in_use', detail: expect.stringContaining('m1.named') });
    expect(await history('named')).toHaveLength(2);
    await api.http.delete('/v1/flavors/m1.named').expect(204);
    await api.http.delete('/v1/aliases/named').set('If-Match', '"2"').expect(204);
  });
});

describe('aliases of files', () => {
  const fileAlias = (name: string, productId: string): AliasDefinition => ({
    name,
    numaPolicy: 'legacy',
    specs: [{ ...ANY_DEVICE, vendorId: '8086', productId, deviceType: 'type-PCI' }],
  });

  async function sync(origin: string, ...aliases: AliasDefinition[]): Promise<void> {
    const dataSource = await ledgerDataSource(api.databaseUrl, 1).initialize();
    try {
      await inTransaction(dataSource, (tx) => syncFileAliases(tx, origin, aliases));
    } finally {
      await dataSource.destroy();
    }
  }

  it('show whose they are, and who changed them', async () => {
    for (const origin of ['api-1', 'api-2', 'api-3', 'api-4']) await sync(origin, fileAlias('qat', '0443'));
    await sync('api-2', fileAlias('qat', '0444'));
    const { body } = await api.http.get('/v1/aliases/qat').expect(200);
    expect(body).toMatchObject({
      source: 'file',
      read_only: true,
      version: 2,
      owners: ['api-1', 'api-2', 'api-3', 'api-4'].map((origin) => ({ origin, current: origin === 'api-2' })),
    });
    const listed = (await api.http.get('/v1/aliases?limit=50')).body.aliases as { name: string }[];
    expect(listed.find((alias) => alias.name === 'qat')).toEqual(body);
    const versions = await api.http.get('/v1/aliases/qat/versions').expect(200);
    expect(versions.body.versions).toMatchObject([
      { version: 2, change: 'changed', source: 'file', origin: 'api-2', changed_by: 'file:api-2' },
      { version: 1, change: 'created', source: 'file', origin: 'api-1', changed_by: 'file:api-1' },
    ]);
  });

  it('are not to be changed here, and the refusal says where', async () => {
    const told = 'belongs to the configuration files of api-1, api-2, api-3 and 1 more; change it there';
    const change = gpu('0001');
    const answers = [
      await api.http.put('/v1/aliases/qat').set('If-Match', '"1"').send(change),
      await api.http.delete('/v1/aliases/qat'),
      await api.http.post('/v1/aliases').send({ name: 'qat', ...change }),
    ];
    expect(answers.map(({ status, body }) => `${status} ${body.code}`)).toEqual([
      '409 alias.read_only',
      '409 alias.read_only',
      '409 alias.exists',
    ]);
    for (const { body } of answers) expect(body.detail).toContain(told);
  });

  it('make way for a REST alias of the name when no file has it any more, and back', async () => {
    for (const origin of ['api-1', 'api-2', 'api-3', 'api-4']) await sync(origin);
    await api.http.get('/v1/aliases/qat').expect(404);
    await make('qat', '0001');
    expect(await history('qat')).toHaveLength(5);
    await expect(sync('api-1', fileAlias('qat', '0443'))).rejects.toMatchObject({ code: 'settings.invalid' });
    await api.http.delete('/v1/aliases/qat').expect(204);
    await sync('api-1', fileAlias('qat', '0443'));
    expect((await history('qat'))[0]).toBe('7 created 0443');
  });
});
