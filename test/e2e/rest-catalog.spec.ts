import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { syncFileAliases } from '../../src/store/catalog.store.js';
import { inTransaction, ledgerDataSource } from '../../src/store/database.js';
import { ANY_DEVICE, type AliasDefinition } from '../../src/pci/alias/alias.js';
import { type RestApi, startRestApi } from '../support/rest-api.js';

const GPU = { name: 'gpu', vendor_id: '10DE', product_id: '1bb0', device_type: 'type-PCI', numa_policy: 'preferred' };

describe('aliases and flavors over REST', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
  });
  afterAll(() => api?.close());

  it("takes Nova's single form and shows it as an alias with one spec", async () => {
    const answer = await api.http.post('/v1/aliases').send(GPU).expect(201);
    expect(answer.headers['location']).toBe('/v1/aliases/gpu');
    expect(answer.body).toMatchObject({
      name: 'gpu',
      numa_policy: 'preferred',
      source: 'rest',
      read_only: false,
      version: 1,
      specs: [
        {
          vendor_id: '10de',
          product_id: '1bb0',
          device_type: 'type-PCI',
          resource_class: null,
          traits: [],
          live_migratable: null,
        },
      ],
    });
  });

  it('takes alternatives, and counts the version up when they change', async () => {
    const specs = [
      { vendor_id: '10de', product_id: '1db6', device_type: 'type-PCI', traits: ['fast'] },
      { vendor_id: '10de', product_id: '1db5', device_type: 'type-PCI', live_migratable: true },
    ];
    const made = await api.http.post('/v1/aliases').send({ name: 'v100', specs }).expect(201);
    expect(made.body.numa_policy).toBe('legacy');
    expect(made.body.specs[0].traits).toEqual(['CUSTOM_FAST']);
    expect(made.body.specs[1].live_migratable).toBe(true);
    const changed = await api.http
      .put('/v1/aliases/v100')
      .send({ numa_policy: 'required', specs: [specs[1]] })
      .expect(200);
    expect(changed.body).toMatchObject({ version: 2, numa_policy: 'required' });
    expect(changed.body.specs).toHaveLength(1);
    const shown = await api.http.get('/v1/aliases/v100').expect(200);
    expect(shown.body).toEqual(changed.body);
  });

  it('refuses a second alias of the name', async () => {
    const answer = await api.http.post('/v1/aliases').send(GPU).expect(409);
    expect(answer.body.code).toBe('alias.exists');
  });

  it('pages aliases in name order', async () => {
    const first = await api.http.get('/v1/aliases?limit=1').expect(200);
    expect(first.body.aliases.map((alias: { name: string }) => alias.name)).toEqual(['gpu']);
    expect(first.body.next).toBe('/v1/aliases?limit=1&marker=gpu');
    const second = await api.http.get(first.body.next).expect(200);
    expect(second.body.aliases.map((alias: { name: string }) => alias.name)).toEqual(['v100']);
    expect(second.body.next).toBeNull();
  });

  it('makes a flavor and finds it by id and by name', async () => {
    const body = {
      name: 'm1.gpu',
      id: 'f-1',
      vcpus: 4,
      ram: 8192,
      disk: 40,
      extra_specs: { 'pci_passthrough:alias': 'gpu:1', 'trait:X': 'required' },
    };
    const made = await api.http.post('/v1/flavors').send(body).expect(201);
    expect(made.headers['location']).toBe('/v1/flavors/f-1');
    expect(made.body).toMatchObject({
      id: 'f-1',
      name: 'm1.gpu',
      vcpus: 4,
      ram_mb: 8192,
      disk_gb: 40,
      extra_specs: body.extra_specs,
    });
    expect((await api.http.get('/v1/flavors/f-1').expect(200)).body).toEqual(made.body);
    expect((await api.http.get('/v1/flavors/m1.gpu').expect(200)).body).toEqual(made.body);
    expect((await api.http.get('/v1/flavors').expect(200)).body.flavors).toEqual([made.body]);
  });

  it('refuses a second flavor of the name or the id', async () => {
    const size = { vcpus: 1, ram_mb: 1 };
    expect(
      (
        await api.http
          .post('/v1/flavors')
          .send({ name: 'm1.gpu', ...size })
          .expect(409)
      ).body.code,
    ).toBe('flavor.exists');
    expect(
      (
        await api.http
          .post('/v1/flavors')
          .send({ name: 'x', id: 'f-1', ...size })
          .expect(409)
      ).body.code,
    ).toBe('flavor.exists');
  });

  it('does not delete an alias that a flavor names', async () => {
    const answer = await api.http.delete('/v1/aliases/gpu').expect(409);
    expect(answer.body).toMatchObject({ code: 'alias.in_use' });
    expect(answer.body.detail).toContain('m1.gpu');
  });

  it('does not delete one that a flavor names with a range of counts', async () => {
    const name = 'ranged';
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU, name })
      .expect(201);
    const flavor = (text: string) => {
      return api.http
        .post('/v1/flavors')
        .send({ name, vcpus: 1, ram_mb: 1, extra_specs: { 'pci_passthrough:alias': text } });
    };
    const empty = await flavor(`${name}:4..1`).expect(400);
    expect(empty.body).toMatchObject({ code: 'flavor.invalid', detail: expect.stringContaining('the range is empty') });
    await flavor(`${name}:1..4`).expect(201);
    const answer = await api.http.delete(`/v1/aliases/${name}`).expect(409);
    expect(answer.body).toMatchObject({ code: 'alias.in_use' });
    await api.http.delete(`/v1/flavors/${name}`).expect(204);
    await api.http.delete(`/v1/aliases/${name}`).expect(204);
  });

  it('is not fooled by an alias whose name is a part of another', async () => {
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU, name: 'gp' })
      .expect(201);
    await api.http.delete('/v1/aliases/gp').expect(204);
    await api.http.get('/v1/aliases/gp').expect(404);
  });

  it('sets, replaces and removes extra specs, each time checked', async () => {
    const put = await api.http.put('/v1/flavors/m1.gpu/extra_specs/hw:numa_nodes').send({ value: '2' }).expect(200);
    expect(put.body.extra_specs).toEqual({
      'pci_passthrough:alias': 'gpu:1',
      'trait:X': 'required',
      'hw:numa_nodes': '2',
    });
    const wrong = await api.http.put('/v1/flavors/f-1/extra_specs/hw:numa_nodes').send({ value: '3' }).expect(400);
    expect(wrong.body).toMatchObject({ code: 'flavor.invalid', errors: [{ field: 'extra_specs.hw:numa_nodes' }] });
    const unknown = await api.http
      .put('/v1/flavors/f-1/extra_specs/pci_passthrough:alias')
      .send({ value: 'gpuu:1' })
      .expect(400);
    expect(unknown.body.code).toBe('alias.unknown');
    expect(unknown.body.detail).toContain('did you mean "gpu"?');
    await api.http.delete('/v1/flavors/f-1/extra_specs/trait:X').expect(204);
    await api.http.delete('/v1/flavors/f-1/extra_specs/trait:X').expect(404);
    const replaced = await api.http
      .put('/v1/flavors/f-1/extra_specs')
      .send({ extra_specs: { a: 'b' } })
      .expect(200);
    expect(replaced.body).toEqual({ extra_specs: { a: 'b' } });
    await api.http.delete('/v1/flavors/f-1/extra_specs').expect(204);
    expect((await api.http.get('/v1/flavors/f-1')).body.extra_specs).toEqual({});
  });

  it('deletes the alias once no flavor names it, and the flavor', async () => {
    await api.http.delete('/v1/aliases/gpu').expect(204);
    await api.http.delete('/v1/flavors/m1.gpu').expect(204);
    const gone = await api.http.get('/v1/flavors/m1.gpu').expect(404);
    expect(gone.body.code).toBe('flavor.unknown');
  });

  it('never leaves a flavor that names an alias which is deleted at the same moment', async () => {
    for (let round = 0; round < 10; round++) {
      const name = `race-${round}`;
      await api.http
        .post('/v1/aliases')
        .send({ ...GPU, name })
        .expect(201);
      const flavor = { name, vcpus: 1, ram_mb: 1, extra_specs: { 'pci_passthrough:alias': `${name}:1` } };
      const [made, deleted] = await Promise.all([
        api.http.post('/v1/flavors').send(flavor),
        api.http.delete(`/v1/aliases/${name}`),
      ]);
      expect([`${made.status} ${made.body.code}`, `${deleted.status} ${deleted.body.code}`]).toEqual(
        made.status === 201 ? ['201 undefined', '409 alias.in_use'] : ['400 alias.unknown', '204 undefined'],
      );
    }
  });

  it('makes something once for one idempotency key, also when asked at the same time', async () => {
    const body = { name: 'once', vcpus: 1, ram_mb: 512 };
    const send = () => api.http.post('/v1/flavors').set('Idempotency-Key', 'k-1').send(body);
    const answers = await Promise.all([send(), send(), send(), send()]);
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201]);
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === 'true')).toHaveLength(3);
    const other = await api.http
      .post('/v1/flavors')
      .set('Idempotency-Key', 'k-1')
      .send({ ...body, vcpus: 2 })
      .expect(422);
    expect(other.body.code).toBe('idempotency.key_reused');
    // the same key on another path is another request
    await api.http.post('/v1/aliases').set('Idempotency-Key', 'k-1').send(GPU).expect(422);
  });

  it('lets a key be used again when its request failed', async () => {
    const flavor = { name: 'later', vcpus: 1, ram_mb: 512, extra_specs: { 'pci_passthrough:alias': 'nic:1' } };
    const send = () => api.http.post('/v1/flavors').set('Idempotency-Key', 'k-2').send(flavor);
    expect((await send()).body.code).toBe('alias.unknown');
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU, name: 'nic' })
      .expect(201);
    expect((await send()).status).toBe(201);
  });
});

describe('aliases of configuration files', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
  });
  afterAll(() => api?.close());

  const fileAlias = (name: string, productId: string): AliasDefinition => ({
    name,
    numaPolicy: 'legacy',
    specs: [{ ...ANY_DEVICE, vendorId: '8086', productId, deviceType: 'type-PCI' }],
  });

  async function sync(...aliases: AliasDefinition[]): Promise<void> {
    const dataSource = await ledgerDataSource(api.databaseUrl, 1).initialize();
    try {
      await inTransaction(dataSource, (tx) => syncFileAliases(tx, 'api-1:8790', aliases));
    } finally {
      await dataSource.destroy();
    }
  }

  it('shows them and lets nobody change them', async () => {
    await sync(fileAlias('qat', '0443'), fileAlias('old', '0001'));
    const shown = await api.http.get('/v1/aliases/qat').expect(200);
    expect(shown.body).toMatchObject({ source: 'file', read_only: true, version: 1 });
    const body = { vendor_id: '8086', product_id: '0444', device_type: 'type-PCI' };
    for (const answer of [await api.http.put('/v1/aliases/qat').send(body), await api.http.delete('/v1/aliases/qat')]) {
      expect(answer.status).toBe(409);
      expect(answer.body.code).toBe('alias.read_only');
    }
    expect((await api.http.post('/v1/aliases').send({ name: 'qat', ...body })).body).toMatchObject({
      code: 'alias.exists',
      detail: expect.stringContaining('it belongs to the configuration files of api-1:8790; change it there'),
    });
  });

  it('follows the files: gone is gone, unchanged keeps its version', async () => {
    await sync(fileAlias('qat', '0443'));
    await api.http.get('/v1/aliases/old').expect(404);
    expect((await api.http.get('/v1/aliases/qat')).body.version).toBe(1);
    await sync(fileAlias('qat', '0444'));
    expect((await api.http.get('/v1/aliases/qat')).body).toMatchObject({ version: 2, specs: [{ product_id: '0444' }] });
  });

  it('refuses a file alias that exists through REST, and changes nothing', async () => {
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU })
      .expect(201);
    await expect(sync(fileAlias('gpu', '0001'))).rejects.toMatchObject({
      code: 'settings.invalid',
      message: expect.stringMatching(
        /^alias gpu: the files of api-1:8790 define it, and it was made through REST; take/,
      ),
    });
    expect((await api.http.get('/v1/aliases/qat')).body.version).toBe(2);
  });
});
