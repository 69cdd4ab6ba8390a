import { LOCAL_ADMIN } from '../../src/api/identity/caller.js';
import type { ServerBody } from '../../src/api/servers/servers.dto.js';
import { BerthError } from '../../src/errors.js';
import { changeHost, lockHostForChange } from '../../src/store/host-admin.store.js';
import type { Operation } from './conductor.js';
import { beatOnAndOn } from './heartbeat-steps.js';
import { changeQuota, evacuate, place, releasePlacements, removeAlias } from './placement-steps.js';
import type { ApiParts } from './roles.js';
import type { Unanswered, World } from './world.js';

/** Something that goes on until all is settled; then `settled` looks what became of it. */
export interface Started {
  readonly operation: Operation;
  readonly settled?: () => void;
}

/**
 * What may happen in a step. What a role has to do is started and goes on beside what else was started in the step; what the
 * world does (a card is pulled, time passes) is done when `start` resolves.
 */
export interface StepKind {
  readonly name: string;
  readonly weight: number;
  start(world: World): Promise<readonly Started[]> | readonly Started[];
}

/** A new kind of step is a line here. */
export const STEP_KINDS: readonly [StepKind, ...StepKind[]] = [
  { name: 'create', weight: 12, start: (world) => ask(world, createRequest(world)) },
  { name: 'delete', weight: 7, start: (world) => ask(world, deleteRequest(world)) },
  { name: 'attach', weight: 4, start: (world) => onServer(world, 'attaches', attach) },
  { name: 'detach', weight: 4, start: detachRequest },
  { name: 'act', weight: 6, start: (world) => onServer(world, 'acts on', act) },
  { name: 'place', weight: 9, start: place },
  { name: 'release placements', weight: 5, start: releasePlacements },
  { name: 'evacuate', weight: 2, start: evacuate },
  { name: 'quota', weight: 2, start: changeQuota },
  { name: 'ask again', weight: 6, start: askAgain },
  { name: 'host on or off', weight: 3, start: switchHost },
  { name: 'alias change', weight: 1, start: changeAlias },
  { name: 'alias goes or comes', weight: 1, start: removeAlias },
  { name: 'relay', weight: 18, start: relay },
  { name: 'deliver', weight: 34, start: deliverSome },
  { name: 'sweep', weight: 5, start: sweep },
  { name: 'agents beat on and on', weight: 3, start: beatOnAndOn },
  { name: 'compare heartbeats', weight: 5, start: compareHeartbeats },
  { name: 'seal the audit', weight: 2, start: sealAudit },
  { name: 'look', weight: 4, start: (world) => someAgent(world, 'look') },
  { name: 'heartbeat', weight: 4, start: (world) => someAgent(world, 'heartbeat') },
  { name: 'crash', weight: 2, start: crash },
  { name: 'restart', weight: 8, start: restart },
  { name: 'pull a card', weight: 2, start: pullCard },
  { name: 'put a card back', weight: 3, start: putCardBack },
  { name: 'time passes', weight: 5, start: passSomeTime },
];

/** Sends a request of a client; one whose answer does not come is sent again later. */
export function ask(world: World, request: Unanswered | null): Started[] {
  const operation = request?.send();
  if (!request || !operation) return [];
  world.record.tell(`    ${request.title}`);
  const settled = (): void => {
    if (isAnswered(operation)) return acknowledge(world, request, operation);
    world.record.tell(`    no answer: ${request.title}`);
    world.unanswered.push(request);
  };
  return [{ operation, settled }];
}

/** Done, or turned down for good: a client does not ask for that again. */
export function isAnswered({ state, value }: Operation): boolean {
  return state === 'done' || (value instanceof BerthError && REFUSALS.has(value.code));
}

const REFUSALS: ReadonlySet<string> = new Set(['quota.exceeded', 'alias.unknown', 'request.invalid']);

/** The client has the answer. */
export function acknowledge({ record }: World, request: Unanswered, { state, value }: Operation): void {
  record.count('requests acknowledged');
  if (state === 'done') request.answered(value);
}

function createRequest(world: World): Unanswered {
  const { chance } = world;
  const number = ++world.requests;
  const body = bodyOf(world, `vm-${number}`);
  world.record.count('servers asked for', body.max_count ?? 1);
  return {
    title: `creates ${JSON.stringify(body)}`,
    send: () =>
      world.api.act(`create ${body.name}`, ({ servers }) =>
        servers.create(LOCAL_ADMIN, body, { projectId: LOCAL_ADMIN.projectId, text: `key-${number}` }),
      ),
    answered: (value) => {
      const { id, replayed } = value as { id: string; replayed: boolean };
      world.record.tell(`    ${body.name} is ${id.slice(-8)}${replayed ? ', as it was told before' : ''}`);
      if (chance.is(0.9)) world.servers.push(id);
    },
  };
}

function bodyOf({ chance }: World, name: string): ServerBody {
  const count = chance.is(0.2) ? chance.between(2, 3) : 1;
  const devices = chance.one([
    'gpu:1',
    'gpu:1',
    'gpu:2',
    'v100:1',
    'v100:2',
    'vf:1',
    'vf:2',
    'nic:1',
    'gpu:1,vf:1',
    null,
  ]);
  return {
    name,
    ...(devices === null ? {} : { devices }),
    vcpus: chance.between(0, 3),
    ram_mb: chance.one([256, 1024, 4096]),
    wait: chance.is(0.5),
    priority: chance.between(0, 3),
    preemptible: chance.is(0.4),
    ...(count > 1 ? { min_count: chance.between(1, count), max_count: count } : {}),
  };
}

function deleteRequest(world: World): Unanswered | null {
  const id = world.chance.one(world.servers.filter((one) => !world.deleted.has(one)));
  if (id === undefined) return null;
  return {
    title: `deletes ${id.slice(-8)}`,
    send: () => world.api.act(`delete ${id.slice(-8)}`, ({ servers }) => servers.remove(LOCAL_ADMIN, id)),
    answered: () => void world.deleted.add(id),
  };
}

/** Of one whose answer does not come, the client looks what became of it. */
function onServer(
  world: World,
  verb: string,
  work: (parts: ApiParts, id: string, world: World) => Promise<unknown>,
): Started[] {
  const id = world.chance.one(world.servers);
  const operation =
    id === undefined ? null : world.api.act(`${verb} ${id.slice(-8)}`, (parts) => work(parts, id, world));
  if (!operation) return [];
  world.record.tell(`    ${operation.title}`);
  return [{ operation }];
}

function attach({ devices }: ApiParts, id: string, { chance }: World): Promise<unknown> {
  return devices.attach(LOCAL_ADMIN, id, { devices: chance.one(['gpu:1', 'vf:1', 'v100:1']) });
}

/** What does not fit the server's state is turned down. */
function act({ actions }: ApiParts, id: string, { chance, record }: World): Promise<unknown> {
  const wish = chance.one([
    'shelve',
    'shelve',
    'unshelve',
    'unshelve',
    'stop',
    'start',
    'reboot_hard',
    'rebuild',
  ] as const);
  record.count(`acts: ${wish}`);
  if (wish === 'shelve') return actions.shelve(LOCAL_ADMIN, id);
  if (wish === 'unshelve') return actions.unshelve(LOCAL_ADMIN, id);
  return actions.act(LOCAL_ADMIN, id, wish ?? 'stop');
}

async function detachRequest(world: World): Promise<Started[]> {
  const held = (await world.source.query(
    `SELECT a.server_id, a.device_id FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN devices d ON d.id = a.device_id
       JOIN servers s ON s.id = a.server_id JOIN hosts h ON h.id = d.host_id
      WHERE a.released_at IS NULL AND c.status = 'allocated' AND s.kind = 'server' ORDER BY s.name, h.name, d.address`,
  )) as { server_id: string; device_id: string }[];
  const one = world.chance.one(held);
  if (!one) return [];
  const force = world.chance.is(0.7);
  const title = `detaches a device of ${one.server_id.slice(-8)}`;
  const operation = world.api.act(title, ({ devices }) =>
    devices.detach(LOCAL_ADMIN, one.server_id, { deviceId: one.device_id, force }),
  );
  if (!operation) return [];
  world.record.tell(`    ${title}`);
  return [{ operation }];
}

function askAgain(world: World): Started[] {
  const [request] = world.unanswered.splice(world.chance.below(world.unanswered.length), 1);
  if (!request) return [];
  const started = ask(world, request);
  if (started.length === 0) world.unanswered.push(request);
  return started;
}

function switchHost(world: World): Started[] {
  const name = world.chance.one(world.machines)?.name ?? '';
  const enabled = world.chance.is(0.6);
  const operation = world.api.act(`${enabled ? 'enables' : 'disables'} ${name}`, ({ ledger }) =>
    ledger.transaction(async (tx) => {
      const host = await lockHostForChange(tx, name);
      if (host) await changeHost(tx, host.id, { enabled, disabledReason: null });
    }),
  );
  return operation ? [{ operation }] : [];
}

function changeAlias({ api, chance }: World): Started[] {
  const product_id = chance.one(['1bb0', '1db4']);
  const body = { vendor_id: '10de', product_id, device_type: 'type-PCI' };
  const operation = api.act(`alias gpu is 10de:${product_id}`, ({ aliases }) => aliases.replace('gpu', body, null));
  return operation ? [{ operation }] : [];
}

function relay({ relays, chance }: World): Started[] {
  const operation = chance.one(relays)?.relay();
  return operation ? [{ operation }] : [];
}

function sweep({ schedulers, chance }: World): Started[] {
  const operation = chance.one(schedulers)?.sweep();
  return operation ? [{ operation }] : [];
}

function compareHeartbeats({ schedulers, chance }: World): Started[] {
  const operation = chance.one(schedulers)?.compareHeartbeats();
  return operation ? [{ operation }] : [];
}

function sealAudit({ schedulers, chance }: World): Started[] {
  const operation = chance.one(schedulers)?.sealAudit();
  return operation ? [{ operation }] : [];
}

function someAgent({ agents, chance }: World, what: 'look' | 'heartbeat'): Started[] {
  const operation = chance.one(agents)?.[what]();
  return operation ? [{ operation }] : [];
}

/** One message of some queue, to whoever consumes it. */
export function deliver(world: World): Started[] {
  const { broker, chance, roles } = world;
  const heard = broker.ready().flatMap((queue) => {
    const subscribers = roles.flatMap((role) => role.subscriberOf(queue) ?? []);
    return subscribers.length > 0 ? [{ queue, subscribers }] : [];
  });
  const chosen = chance.one(heard);
  const subscriber = chosen && chance.one(chosen.subscribers);
  const delivery = subscriber && broker.deliver(chosen.queue, subscriber);
  return delivery ? [delivery] : [];
}

function deliverSome(world: World): Started[] {
  return Array.from({ length: world.chance.between(2, 5) }, () => deliver(world)).flat();
}

async function crash(world: World): Promise<Started[]> {
  const role = world.chance.one(world.roles.filter(({ isAlive }) => isAlive));
  if (!role) return [];
  world.record.count('crashes');
  world.record.tell(`    ${role.name} is killed`);
  await role.kill();
  return [];
}

function restart({ roles, chance }: World): Started[] {
  const role = chance.one(roles.filter(({ isDown }) => isDown));
  return role ? [{ operation: role.start() }] : [];
}

function pullCard({ machines, chance, record }: World): Started[] {
  const machine = chance.one(machines);
  const slot = machine?.pullable((slots) => chance.one(slots));
  if (!machine || slot == null) return [];
  record.fault('card pulled', `${machine.name} ${slot}`);
  machine.pull(slot);
  return [];
}

function putCardBack({ machines, chance, record }: World): Started[] {
  const machine = chance.one(machines.filter((one) => one.pulled().length > 0));
  const slot = machine && chance.one(machine.pulled());
  if (slot === undefined) return [];
  record.tell(`    ${machine?.name} ${slot} is put back`);
  machine?.putBack(slot);
  return [];
}

async function passSomeTime(world: World): Promise<Started[]> {
  await passTime(world, world.chance.one([10, 35, 65, 100]));
  return [];
}

/**
 * Nothing waits for a clock: time passes when rows become older. Every time in the ledger that a sweep or the queue compares
 * with now is moved into the past, and the clocks of the roles go on as far. The rank of a waiting server grows older with it, as all ranks do.
 */
export async function passTime({ source, record, conductor }: World, seconds: number): Promise<void> {
  record.tell(`    ${seconds} s pass`);
  conductor.passTime(seconds * 1000);
  const past = `- ${seconds} * interval '1 second'`;
  await source.query(`
    UPDATE claims SET expires_at = expires_at ${past}, updated_at = updated_at ${past} WHERE status <> 'released';
    UPDATE servers SET updated_at = updated_at ${past}, queued_at = queued_at ${past},
           queue_rank = queue_rank - ${seconds / 60} WHERE status <> 'DELETED';
    UPDATE hosts SET last_seen_at = last_seen_at ${past};`);
}
