import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type ComputeApi, type ComputeUser, startComputeApi } from '../support/compute-users.js';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f you@example\n';

describe('keypairs of the compute face', () => {
  let face: ComputeApi;
  beforeAll(async () => {
    face = await startComputeApi(inject('databaseUrl'));
  });
  afterAll(() => face?.close());
  beforeEach(() => face.api.sql('TRUNCATE keypairs'));

  const make = (keypair: object, version = '2.2', user: ComputeUser = 'bob') =>
    face.as(user, 'post', '/os-keypairs', version).send({ keypair: { name: 'k', ...keypair } });
  const names = async (user: ComputeUser, query = '', version = '2.35'): Promise<string[]> => {
    const { body } = await face.as(user, 'get', `/os-keypairs${query}`, version).expect(200);
    return (body.keypairs as { keypair: { name: string } }[]).map(({ keypair }) => keypair.name);
  };

  it('keeps a public key', async () => {
    const { body } = await make({ public_key: KEY }).expect(201);
    const shown = {
      name: 'k',
      public_key: KEY,
      type: 'ssh',
      fingerprint: expect.stringMatching(/^(?:\w\w:){15}\w\w$/),
    };
    expect(body).toEqual({ keypair: { ...shown, user_id: 'bob' } });
    expect((await face.as('bob', 'get', '/os-keypairs', '2.2').expect(200)).body).toEqual({
      keypairs: [{ keypair: shown }],
    });
    const one = (await face.as('bob', 'get', '/os-keypairs/k', '2.2').expect(200)).body;
    expect(one.keypair).toEqual({
      ...{ ...shown, user_id: 'bob', id: expect.any(Number), deleted: false, deleted_at: null, updated_at: null },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/),
    });
    const first = (await face.as('bob', 'get', '/os-keypairs/k', '2.1').expect(200)).body;
    expect(first.keypair).not.toHaveProperty('type');
  });

  it('makes a pair whose halves belong together, and forgets the private one', async () => {
    const { body } = await make({}, '2.1').expect(200);
    expect(Object.keys(body.keypair).sort()).toEqual(['fingerprint', 'name', 'private_key', 'public_key', 'user_id']);
    const { private_key: pem, public_key: shown } = body.keypair as Record<string, string>;
    const { n = '' } = createPublicKey(pem ?? '').export({ format: 'jwk' });
    const data = Buffer.from(shown?.split(' ')[1] ?? '', 'base64');
    expect(data.includes(Buffer.from(n, 'base64url'))).toBe(true);
    const again = await make({ name: 'again', public_key: shown }, '2.1').expect(200);
    expect(again.body.keypair.fingerprint).toBe(body.keypair.fingerprint);
    const rows = await face.api.sql('SELECT * FROM keypairs');
    expect(JSON.stringify(rows)).not.toContain('PRIVATE');
  });

  it.each([
    ['2.1', { name: '' }],
    ['2.1', { name: 'x'.repeat(256) }],
    ['2.1', { name: String.raw`key_/.\@:` }],
    ['2.91', { name: 'you@example' }],
    ['2.1', { type: 'ssh' }],
    ['2.2', { type: 'pgp' }],
    ['2.9', { user_id: 'bob' }],
    ['2.1', { public_key: ' ' }],
    ['2.1', { public_key: 'ssh-rsa JUNK nova@ubuntu' }],
    ['2.1', { public_key: 5 }],
    ['2.2', { public_key: KEY, type: 'x509' }],
    ['2.92', {}],
    ['2.1', { public_key: 'x'.repeat(16_385) }],
  ])('refuses at %s %j', async (version, keypair) => {
    const { body } = await make(keypair, version).expect(400);
    expect(body.badRequest.code).toBe(400);
  });

  it('takes more names from 2.92 on, and each only once', async () => {
    await make({ name: 'you@example.org', public_key: KEY }, '2.92').expect(201);
    await make({ public_key: KEY }).expect(201);
    await make({ public_key: KEY }).expect(409);
    await make({ public_key: KEY }, '2.2', 'dave').expect(201);
  });

  it('are deleted once', async () => {
    await make({ public_key: KEY }).expect(201);
    await face.as('bob', 'delete', '/os-keypairs/k', '2.1').expect(202);
    await face.as('bob', 'delete', '/os-keypairs/k', '2.1').expect(404);
    await make({ public_key: KEY }).expect(201);
    await face.as('bob', 'delete', '/os-keypairs/k', '2.10').expect(204);
  });

  it("are their user's, and an administrator's who names him, from 2.10 on", async () => {
    await make({ public_key: KEY, user_id: 'bob' }, '2.10', 'root').expect(201);
    expect(await names('bob')).toEqual(['k']);
    expect(await names('root')).toEqual([]);
    expect(await names('root', '?user_id=bob')).toEqual(['k']);
    expect(await names('root', '?user_id=bob', '2.9')).toEqual([]);
    expect(await names('dave')).toEqual([]);
    await face.as('dave', 'get', '/os-keypairs/k', '2.10').expect(404);
    await face.as('dave', 'get', '/os-keypairs/k?user_id=bob', '2.10').expect(403);
    await face.as('dave', 'delete', '/os-keypairs/k?user_id=bob', '2.10').expect(403);
    await make({ public_key: KEY, user_id: 'bob' }, '2.10', 'dave').expect(403);
    await face.as('root', 'get', '/os-keypairs/k?user_id=bob', '2.10').expect(200);
    await face.as('root', 'delete', '/os-keypairs/k?user_id=bob', '2.10').expect(204);
  });

  it('are paged from 2.35 on', async () => {
    for (const name of ['c', 'a', 'b']) await make({ name, public_key: KEY }).expect(201);
    const { body } = await face.as('bob', 'get', '/os-keypairs?limit=2', '2.35').expect(200);
    expect(body.keypairs).toHaveLength(2);
    expect(body.keypairs_links[0].href).toContain('/compute/v2.1/os-keypairs?limit=2&marker=b');
    expect(await names('bob', '?limit=2&marker=b')).toEqual(['c']);
    expect(await names('bob', '?limit=1', '2.34')).toEqual(['a', 'b', 'c']);
    await face.as('bob', 'get', '/os-keypairs?marker=nothing', '2.35').expect(400);
    await face.as('bob', 'get', '/os-keypairs?colour=red', '2.75').expect(400);
  });

  it('are a hundred at most', async () => {
    await face.api.sql(
      `INSERT INTO keypairs (user_id, name, type, public_key, fingerprint)
       SELECT 'bob', 'k' || i, 'ssh', 'x', 'x' FROM generate_series(1, 99) i`,
    );
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => make({ name, public_key: KEY })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 403, 403]);
  });
});
