import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import 'reflect-metadata';
import { connect, credentials, type Channel, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AmqpBus, type AmqpBusSettings } from '../../src/bus/amqp.bus.js';
import { brokerUserText } from '../../src/bus/broker-user-command.js';
import { envelope, type Envelope } from '../../src/messages/envelope.js';
import { agentQueue, AGENTS_EXCHANGE, agentUser, QUEUES, TOPICS } from '../../src/messages/routes.js';
import { type Certificate, TestAuthority } from '../support/certificates.js';
import { startRabbitMq, type TestRabbitMq } from '../support/rabbitmq.js';
import { aReport } from '../support/reports.js';

const SOON = { timeout: 30_000, interval: 20 };
const LIMITS = { messageBytesMax: 100_000, deliveryLimit: 2 };
const CENTRE = 'berth';
/** Names that contain each other as expressions do: `a.rack1` would match `axrack1` if its dot were not literal. */
const [A, B] = ['a.rack1', 'axrack1'];

describe('a user of the broker for each host', () => {
  let authority: TestAuthority;
  let rabbitMq: TestRabbitMq;
  let folder: string;
  let certificateOfA: Certificate;
  let centre: AmqpBus;
  const log: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const heard: Envelope[] = [];
  const reported: Envelope[] = [];
  const outcomes: Envelope[] = [];
  const buses: AmqpBus[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-broker-users-'));
    authority = await TestAuthority.create();
    rabbitMq = await startRabbitMq({ tls: { ...(await authority.forThisMachine()), caFile: authority.caFile } });
    certificateOfA = await authority.sign(agentUser(A));
    await rabbitMq.shell(`
      echo 'of the centre' | rabbitmqctl add_user ${CENTRE}
      rabbitmqctl set_permissions -p / ${CENTRE} '^(berth\\..*|amq\\.gen.*)$' '^(berth\\..*|amq\\.gen.*|amq\\.default)$' '^(berth\\..*|amq\\.gen.*)$'`);
    // one of each kind: by lines for a shell with a certificate, and by definitions with a password
    await rabbitMq.shell(brokerUserText(A, { vhost: '/', external: true }));
    const definitions = join(folder, 'b.json');
    writeFileSync(definitions, brokerUserText(B, { vhost: '/', passwordFile: passwordFile(B), definitions: true }));
    await rabbitMq.shell(`rabbitmqctl import_definitions ${definitions}`);
    centre = bus({ url: urlOf(CENTRE, 'of the centre'), agentUsers: 'per_host' });
    await vi.waitFor(() => expect(centre.isReady()).toBe(true), SOON);
    await centre.listen(TOPICS.heartbeats, async (message) => void heard.push(message));
    await centre.consume(QUEUES.reports, async (message) => void reported.push(message), { prefetch: 10 });
    await centre.consume(QUEUES.outcomes, async (message) => void outcomes.push(message), { prefetch: 10 });
  });
  afterAll(async () => {
    await Promise.all(buses.map((one) => one.close()));
    await rabbitMq?.stop();
    authority?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const passwordFile = (host: string): string => join(folder, `${host}.password`);
  const urlOf = (user: string, password: string): string => {
    const url = new URL(rabbitMq.url);
    url.username = user;
    url.password = password;
    return url.href;
  };
  function bus(settings: Omit<AmqpBusSettings, 'messageBytesMax' | 'deliveryLimit'>): AmqpBus {
    const made = new AmqpBus({ ...LIMITS, ...settings }, (level, message, fields) =>
      log.push({ level, message, fields: { ...fields } }),
    );
    buses.push(made);
    return made;
  }
  const busOfA = (): AmqpBus =>
    bus({
      ...{ url: rabbitMq.tlsUrl ?? '', auth: 'external', agentUsers: 'per_host' },
      tls: { caFile: authority.caFile, ...certificateOfA },
    });
  /** As host A, without Berth's manners. */
  async function asA<T>(work: (channel: ConfirmChannel, model: ChannelModel) => Promise<T>): Promise<T> {
    const model = await connect(rabbitMq.tlsUrl ?? '', {
      ...{ ca: authority.ca(), credentials: credentials.external() },
      cert: read(certificateOfA.certFile),
      key: read(certificateOfA.keyFile),
    });
    model.on('error', () => undefined);
    try {
      const channel = await model.createConfirmChannel();
      channel.on('error', () => undefined);
      return await work(channel, model);
    } finally {
      await model.close().catch(() => undefined);
    }
  }

  it('a host is heard, and hears its commands, with no more than it is given', async () => {
    const agent = busOfA();
    await vi.waitFor(() => expect(agent.isReady()).toBe(true), SOON);
    const commands: Envelope[] = [];
    await agent.consume(agentQueue(A), async (message) => void commands.push(message), { prefetch: 4 });
    // the queue is there once the centre has heard of the host
    expect(agent.unheardQueues()).toEqual([agentQueue(A)]);
    await agent.publish(QUEUES.reports, envelope('agent.report', aReport({ host: A, devices: [] })));
    await agent.publish(QUEUES.outcomes, released(A));
    await agent.broadcast(TOPICS.heartbeats, heartbeat(A));
    await vi.waitFor(() => {
      expect(reported.map(({ type }) => type)).toEqual(['agent.report']);
      expect(outcomes.map(({ type }) => type)).toEqual(['devices.released']);
      expect(heard.map(({ type }) => type)).toEqual(['agent.heartbeat']);
    }, SOON);
    await vi.waitFor(() => expect(agent.unheardQueues()).toEqual([]), SOON);
    await centre.publish(agentQueue(A), envelope('report.request', { reason: 'test' } as never));
    await vi.waitFor(() => expect(commands.map(({ type }) => type)).toEqual(['report.request']), SOON);
    expect(centre.refused()).toBeNull();
  });

  it('with a password it is the same, and its queue is there from the definitions', async () => {
    const password = read(passwordFile(B)).trim();
    expect(password.length).toBeGreaterThan(20);
    const agent = bus({ url: urlOf(agentUser(B), password), agentUsers: 'per_host' });
    await vi.waitFor(() => expect(agent.isReady()).toBe(true), SOON);
    const commands: Envelope[] = [];
    await agent.consume(agentQueue(B), async (message) => void commands.push(message), { prefetch: 4 });
    expect(agent.unheardQueues()).toEqual([]);
    await agent.broadcast(TOPICS.heartbeats, heartbeat(B));
    await vi.waitFor(() => expect(heard.map((one) => 'host' in one.body && one.body.host)).toContain(B), SOON);
    await centre.publish(agentQueue(B), envelope('report.request', { reason: 'test' } as never));
    await vi.waitFor(() => expect(commands).toHaveLength(1), SOON);
    await agent.close();
  });

  it.each<[string, RegExp, (channel: Channel, confirmed: ConfirmChannel) => Promise<unknown>]>([
    ['take the commands of B', /ACCESS_REFUSED/, (channel) => channel.consume(agentQueue(B), () => undefined)],
    ['fetch a command of B', /ACCESS_REFUSED/, (channel) => channel.get(agentQueue(B))],
    ['empty the queue of B', /ACCESS_REFUSED/, (channel) => channel.purgeQueue(agentQueue(B))],
    ['delete the queue of B', /ACCESS_REFUSED/, (channel) => channel.deleteQueue(agentQueue(B))],
    ['read what others report', /ACCESS_REFUSED/, (channel) => channel.get(QUEUES.reports)],
    ['read the dead letters', /ACCESS_REFUSED/, (channel) => channel.get('berth.agents.dead')],
    ['make a queue', /ACCESS_REFUSED/, (channel) => channel.assertQueue('mine')],
    ['make an exchange', /ACCESS_REFUSED/, (channel) => channel.assertExchange('mine', 'fanout')],
    [
      'hear what others say',
      /ACCESS_REFUSED/,
      (channel) => channel.bindQueue(agentQueue(A), AGENTS_EXCHANGE, 'outcomes.#'),
    ],
    ['command B', /ACCESS_REFUSED/, (_, confirmed) => sent(confirmed, '', agentQueue(B))],
    ['send past the exchange', /ACCESS_REFUSED/, (_, confirmed) => sent(confirmed, '', QUEUES.reports)],
    ['broadcast by itself', /ACCESS_REFUSED/, (_, confirmed) => sent(confirmed, TOPICS.heartbeats, '')],
    ['report under the key of B', /ACCESS_REFUSED/, (_, confirmed) => sent(confirmed, AGENTS_EXCHANGE, `reports.${B}`)],
    [
      'use a key that only begins with its own',
      /ACCESS_REFUSED/,
      (_, confirmed) => sent(confirmed, AGENTS_EXCHANGE, `reports.${A}.more`),
    ],
    [
      'use a key that there is not',
      /ACCESS_REFUSED/,
      (_, confirmed) => sent(confirmed, AGENTS_EXCHANGE, `requests.${A}`),
    ],
    [
      'call itself B',
      /PRECONDITION_FAILED.*user_id/,
      (_, confirmed) => sent(confirmed, AGENTS_EXCHANGE, `reports.${A}`, agentUser(B)),
    ],
  ])('host A cannot %s', async (_what, refusal, attempt) => {
    await asA(async (confirmed, model) => {
      const channel = await model.createChannel();
      const said: string[] = [];
      for (const one of [channel, confirmed]) one.on('error', (error: Error) => said.push(error.message));
      await expect(attempt(channel, confirmed)).rejects.toThrow(/./);
      await vi.waitFor(() => expect(said.join()).toMatch(refusal), SOON);
    });
  });

  it.each([
    ['B in a message of its own', () => released(B), agentUser(A)],
    ['itself and B in one', () => bothReleased(), agentUser(A)],
    ['itself without saying who it is', () => released(A), undefined],
    ['as if it were the centre', () => envelope('server.deleted', { server_id: randomUUID() }), agentUser(A)],
  ])('what host A says for %s is refused, counted, told and kept with the dead', async (_what, make, userId) => {
    const before = { taken: outcomes.length, refused: centre.refused()?.count ?? 0 };
    const message = make();
    await asA((channel) => sent(channel, AGENTS_EXCHANGE, `outcomes.${A}`, userId, message));
    await vi.waitFor(() => expect(centre.refused()?.count).toBe(before.refused + 1), SOON);
    expect(centre.refused()?.by).toBe(userId ?? null);
    expect(outcomes).toHaveLength(before.taken);
    const model = await connect(rabbitMq.url);
    const channel = await model.createChannel();
    await vi.waitFor(async () => {
      const dead = await channel.get(`${QUEUES.outcomes}.dead`, { noAck: true });
      expect(dead && dead.properties.messageId).toBe(message.id);
    }, SOON);
    await model.close();
    const told = log.filter(({ message: text }) => text.startsWith('message refused'));
    expect(told.at(-1)).toMatchObject({ level: 'error', fields: { queue: QUEUES.outcomes } });
  });

  it('a forged heartbeat revives nobody', async () => {
    const before = { heard: heard.length, refused: centre.refused()?.count ?? 0 };
    await asA((channel) => sent(channel, AGENTS_EXCHANGE, `heartbeats.${A}`, agentUser(A), heartbeat(B)));
    await vi.waitFor(() => expect(centre.refused()?.count).toBe(before.refused + 1), SOON);
    expect(heard).toHaveLength(before.heard);
  });

  it('who has a certificate of another name, of another authority, or none at all gets no connection', async () => {
    const other = await TestAuthority.create();
    const logIn = (certificate: Certificate | null) =>
      connect(rabbitMq.tlsUrl ?? '', {
        ...{ ca: authority.ca(), credentials: credentials.external() },
        ...(certificate && { cert: read(certificate.certFile), key: read(certificate.keyFile) }),
      });
    await expect(logIn(await authority.sign('berth.agent.unknown'))).rejects.toThrow(/ACCESS[-_]REFUSED/i);
    await expect(logIn(await other.sign(agentUser(A)))).rejects.toThrow(/alert|unknown ca|closed|ECONNRESET|EPIPE/i);
    await expect(logIn(null)).rejects.toThrow(/ACCESS[-_]REFUSED|closed|ECONNRESET/i);
    // A has a certificate, and no password: not even an empty one
    await expect(connect(urlOf(agentUser(A), ''))).rejects.toThrow(/ACCESS[-_]REFUSED/i);
    other.remove();
  });

  it('a broker that shows a certificate of another authority, or of another name, is not spoken to', async () => {
    const other = await TestAuthority.create();
    const strange = bus({
      ...{ url: rabbitMq.tlsUrl ?? '', auth: 'external', agentUsers: 'per_host' },
      tls: { caFile: other.caFile, ...certificateOfA },
    });
    const reasons = () => log.map(({ fields }) => String(fields['reason']));
    await vi.waitFor(() => expect(reasons().join('\n')).toMatch(/unable to verify|self-signed|issuer/), SOON);
    expect(strange.isReady()).toBe(false);
    other.remove();
  });
});

const read = (file: string): string => readFileSync(file, 'utf8');

function heartbeat(host: string) {
  return envelope('agent.heartbeat', { host, epoch: 1, sequence: 1, hash: 'a'.repeat(64) });
}

function released(host: string) {
  const body = { host, epoch: 1, claim_id: randomUUID(), server_id: randomUUID(), devices: [] };
  return envelope('devices.released', body);
}

function bothReleased() {
  return envelope('agent.outcomes', { outcomes: [{ released: released(A).body }, { released: released(B).body }] });
}

/** Resolves when the broker has taken it. */
function sent(
  channel: ConfirmChannel,
  exchange: string,
  key: string,
  userId?: string,
  message: Envelope = released(A),
): Promise<void> {
  const properties = { messageId: message.id, type: message.type, ...(userId === undefined ? {} : { userId }) };
  return new Promise((resolve, reject) => {
    channel.once('close', () => reject(new Error('the channel was closed')));
    channel.publish(exchange, key, Buffer.from(JSON.stringify(message)), properties, (error: unknown) =>
      error ? reject(error as Error) : resolve(),
    );
  });
}
