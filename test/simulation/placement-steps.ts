import type {
  PlacementAnswersView,
  PlacementAnswerView,
  ReleaseAnswerView,
} from '../../src/api/placements/native-placements.dto.js';
import { LOCAL_ADMIN } from '../../src/api/identity/caller.js';
import { Finding } from './record.js';
import { ask, type Started } from './steps.js';
import type { Unanswered, World } from './world.js';

/** Placements of an orchestrator: one call with some of them, each under a key; it is asked again until it is answered. */
export function place(world: World): Started[] {
  const { chance } = world;
  const number = ++world.requests;
  const wishes = Array.from({ length: chance.is(0.4) ? chance.between(2, 3) : 1 }, (_unused, index) => ({
    key: `pod-${number}-${index}`,
    name: `pod-${number}-${index}`,
    devices: chance.one(['gpu:1', 'gpu:1', 'gpu:2', 'v100:1', 'vf:1', 'vf:2', 'nic:1', 'gpu:1,vf:1']),
    vcpus: chance.between(0, 2),
    ram_mb: chance.one([256, 1024]),
    priority: chance.between(0, 3),
  }));
  world.record.count('placements asked for', wishes.length);
  let repeats = chance.is(0.25) ? 1 : 0;
  const request: Unanswered = {
    title: `places ${wishes.map(({ key, devices }) => `${key} ${devices}`).join(', ')}`,
    send: () =>
      world.api.act(`place pod-${number}`, ({ placements }) => placements.create(LOCAL_ADMIN, { placements: wishes })),
    answered: (value) => {
      for (const answer of (value as PlacementAnswersView).placements) takeAnswer(world, answer);
      // some ask for the same again though they were answered: perhaps the answer reached nobody
      if (repeats > 0) world.unanswered.push(request);
      repeats -= 1;
    },
  };
  return ask(world, request);
}

function takeAnswer({ placements }: World, answer: PlacementAnswerView): void {
  const { key, outcome, id, host, devices = [], replayed = false } = answer;
  if (key === null) return;
  if (outcome === 'rejected' || id === undefined) return placements.rejected(key);
  const told = { key, id, host: host?.name ?? null, devices: devices.map((device) => device.id), replayed };
  placements.answered(told);
}

export function releasePlacements(world: World): Started[] {
  const { chance, placements } = world;
  const ids = Array.from({ length: chance.between(1, 2) }, () => chance.one(placements.unreleased()));
  const some = [...new Set(ids.filter((id) => id !== undefined))];
  if (some.length === 0) return [];
  const title = `releases ${some.map((id) => id.slice(-8)).join(', ')}`;
  return ask(world, {
    title,
    send: () => {
      placements.releaseAsked(some);
      return world.api.act(title, (parts) => parts.placements.release(LOCAL_ADMIN, some));
    },
    answered: (value) => {
      const unknown = (value as readonly ReleaseAnswerView[]).find(({ outcome }) => outcome === 'unknown');
      if (unknown) throw new Finding(`placement ${unknown.id} was answered, and is unknown when it is given back`);
      placements.releaseAnswered(some);
    },
  });
}

/** What the REST face does when servers are to leave a host; the sweeps move them. */
export function evacuate({ api, chance, machines, record }: World): Started[] {
  const name = chance.one(machines)?.name ?? '';
  const wish = { force: chance.is(0.3), wait: chance.is(0.6), disable: chance.is(0.5) };
  const operation = api.act(`evacuates ${name}`, ({ evacuations }) => evacuations.evacuate(LOCAL_ADMIN, name, wish));
  if (operation) record.count('evacuations');
  return operation ? [{ operation }] : [];
}

/** An alias goes, or comes back: who asks for it is turned down meanwhile, but not who was answered before. */
export function removeAlias({ api, chance }: World): Started[] {
  const definition = { name: 'v100', vendor_id: '10de', product_id: '1db4', device_type: 'type-PCI' };
  const goes = chance.is(0.5);
  const operation = api.act(`alias v100 ${goes ? 'goes' : 'comes back'}`, ({ aliases }) =>
    goes ? aliases.remove('v100', null) : aliases.create(definition, null),
  );
  return operation ? [{ operation }] : [];
}

/** Limits of the project: now none, now fewer than it has. */
export function changeQuota(world: World): Started[] {
  const { chance, record } = world;
  const resource = chance.one(['devices', 'servers', 'alias:gpu', 'vcpus']);
  const limits = chance.is(0.5) ? {} : { [resource]: chance.between(1, resource === 'vcpus' ? 8 : 5) };
  const title = `limits ${JSON.stringify(limits)}`;
  record.count('quota changes');
  return ask(world, {
    title,
    send: () => {
      world.quota.changes();
      return world.api.act(title, ({ quotas }) => quotas.replace(LOCAL_ADMIN.projectId, limits));
    },
    answered: () => undefined,
  });
}
