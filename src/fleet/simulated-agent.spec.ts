import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { WireDevice } from '../messages/device-bodies.js';
import type { WireSriovWish } from '../messages/sriov-bodies.js';
import { decodeEnvelope, type Envelope } from '../messages/envelope.js';
import { contentHash } from '../messages/content-hash.js';
import { fleetHostName } from './fleet-simulator.js';
import { KINDS, readKinds, type HostContent } from './host-kinds.js';
import { seededRandom } from './seeded-random.js';
import { sharedKind, SimulatedAgent } from './simulated-agent.js';

const NOW = 1_700_000_000_000;
let kinds: HostContent[];
beforeAll(async () => void (kinds = await readKinds(KINDS)), 60_000);

function anAgent(): SimulatedAgent {
  return new SimulatedAgent('fleet-00001', sharedKind(kinds[0] as HostContent), NOW);
}

function orderFor(agent: SimulatedAgent) {
  const devices = agent
    .devices()
    .filter(({ offer }) => offer !== null)
    .map(({ address, vendor_id, product_id }) => ({ address, vendor_id, product_id }));
  return { claim_id: randomUUID(), server_id: randomUUID(), devices };
}

const isValid = (message: Envelope): boolean =>
  decodeEnvelope(Buffer.from(JSON.stringify(message)), 10_000_000).type === message.type;

describe('a simulated agent', () => {
  it('of every kind has something to offer, and reports what a scheduler takes', () => {
    for (const content of kinds) {
      const agent = new SimulatedAgent('fleet-00001', sharedKind(content), NOW);
      const report = agent.report();
      expect(content.devices.some(({ offer }) => offer !== null)).toBe(true);
      expect(isValid(report)).toBe(true);
      expect(report.body.hash).toBe(contentHash({ facts: report.body.facts, devices: report.body.devices }));
      expect(agent.heartbeat().body).toEqual({ host: 'fleet-00001', epoch: NOW, sequence: 1, hash: report.body.hash });
    }
  });

  it('prepares, answers again, and gives back; what it then has is what it had', () => {
    const agent = anAgent();
    const before = agent.stamp().hash;
    const order = orderFor(agent);
    const prepared = agent.prepare(order, false);
    expect(prepared).toMatchObject({ type: 'devices.prepared', body: { claim_id: order.claim_id, epoch: NOW } });
    expect(isValid(prepared)).toBe(true);
    expect(agent.stamp().hash).not.toBe(before);
    expect(agent.prepare(order, false).body).toEqual(prepared.body);
    const released = agent.release(order);
    expect(isValid(released)).toBe(true);
    expect(released.body.devices.map(({ address }) => address)).toEqual(order.devices.map(({ address }) => address));
    expect(agent.stamp().hash).toBe(before);
  });

  it('refuses what is taken, gone, or was released before; and when the kernel does', () => {
    const agent = anAgent();
    const order = orderFor(agent);
    expect(agent.prepare(order, true)).toMatchObject({ type: 'devices.prepare_failed', body: { errno: 'EBUSY' } });
    agent.prepare(order, false);
    expect(agent.prepare({ ...order, claim_id: randomUUID() }, false).body).toMatchObject({ code: 'device.busy' });
    agent.release(order);
    expect(agent.prepare(order, false).body).toMatchObject({ code: 'claim.released' });
    const gone = agent.toggleDevice();
    expect(agent.prepare({ ...order, claim_id: randomUUID() }, false).body).toMatchObject({
      code: 'device.missing',
      address: gone,
    });
    expect(agent.toggleDevice()).toBe(gone);
    expect(agent.prepare({ ...order, claim_id: randomUUID() }, false).type).toBe('devices.prepared');
  });

  it('has a greater epoch in its next life, counts its reports anew, and keeps what it had prepared', () => {
    const agent = anAgent();
    const order = orderFor(agent);
    agent.report();
    agent.prepare(order, false);
    const { hash } = agent.stamp();
    agent.restart(NOW - 5);
    expect(agent.stamp()).toEqual({ host: 'fleet-00001', epoch: NOW + 1, sequence: 0, hash });
    expect(agent.prepare(order, false).type).toBe('devices.prepared');
  });
});

it('names hosts, and knows recorded ones by name', async () => {
  expect([0, 41, 9_999].map(fleetHostName)).toEqual(['fleet-00001', 'fleet-00042', 'fleet-10000']);
  await expect(readKinds(['no-such-host'])).rejects.toMatchObject({ code: 'settings.invalid' });
});

it('the same seed gives the same numbers, evenly spread', () => {
  const [a, b, other] = [seededRandom(7), seededRandom(7), seededRandom(8)];
  const numbers = Array.from({ length: 4_000 }, () => a());
  expect(Array.from({ length: 4_000 }, () => b())).toEqual(numbers);
  expect(other()).not.toBe(numbers[0]);
  expect(numbers.filter((number) => number < 0.25).length).toBeGreaterThan(900);
  expect(numbers.filter((number) => number < 0.25).length).toBeLessThan(1_100);
});

describe('a simulated agent that is told how many VFs its PF shall have', () => {
  const ofNic = (): SimulatedAgent => {
    const nic = kinds[KINDS.indexOf('sriov-nic')] as HostContent;
    return new SimulatedAgent('fleet-00001', sharedKind(nic), NOW);
  };
  const pfOf = (agent: SimulatedAgent) => agent.devices().find(({ sriov }) => sriov !== null) as WireDevice;
  const vfsOf = (agent: SimulatedAgent) =>
    agent.devices().filter(({ parent_address: pf }) => pf === pfOf(agent).address);
  const wish = (agent: SimulatedAgent, revision: number, vf_count: number, more: Partial<WireSriovWish> = {}) => {
    const { address, vendor_id, product_id } = pfOf(agent);
    agent.setSriov({ revision, wishes: [{ address, vendor_id, product_id, revision, vf_count, ...more }] });
    return agent.report();
  };

  it.each([0, 3, 8, 20, 64])('has %d, and reports what a scheduler takes', (count) => {
    const agent = ofNic();
    const report = wish(agent, 1, count);
    expect(isValid(report)).toBe(true);
    expect(report.body.facts.sriov).toMatchObject([
      { state: 'applied', revision: 1, vf_count: count, source: 'ledger' },
    ]);
    expect(report.body.hash).toBe(contentHash({ facts: report.body.facts, devices: report.body.devices }));
    expect(vfsOf(agent)).toHaveLength(count);
    expect(new Set(agent.devices().map(({ address }) => address)).size).toBe(agent.devices().length);
    expect(new Set(vfsOf(agent).map(({ iommu_group: group }) => group)).size).toBe(count);
    expect(vfsOf(agent).every(({ offer }) => offer !== null)).toBe(true);
    expect(pfOf(agent).sriov?.num_vfs).toBe(count);
  });

  it('takes the latest word only, and goes back to what it was; VFs of a forgotten wish stay', () => {
    const agent = ofNic();
    const before = agent.devices();
    wish(agent, 7, 20);
    wish(agent, 6, 2);
    expect(vfsOf(agent)).toHaveLength(20);
    wish(agent, 8, 8);
    expect(agent.devices()).toEqual(before);
    wish(agent, 9, 20);
    agent.setSriov({ revision: 10, wishes: [] });
    expect(vfsOf(agent)).toHaveLength(20);
    expect(agent.report().body.facts).not.toHaveProperty('sriov');
  });

  it('refuses with why: too many, another card, no PF, and VFs in use; nothing is changed', () => {
    const agent = ofNic();
    const { hash } = agent.stamp();
    const told = (report: ReturnType<typeof wish>) =>
      report.body.facts.sriov?.map(({ state, message }) => [state, message]);
    const pf = pfOf(agent).address;
    expect(told(wish(agent, 1, 65))).toEqual([['refused', `${pf}: it has at most 64 VFs, not 65`]]);
    expect(told(wish(agent, 2, 4, { product_id: '1593' }))).toEqual([
      ['refused', `${pf}: another card sits there now`],
    ]);
    const vf = vfsOf(agent)[0]?.address ?? '';
    expect(told(wish(agent, 3, 4, { address: vf }))).toEqual([['refused', `${vf}: no PF with VFs is there`]]);
    const order = orderFor(agent);
    agent.prepare({ ...order, devices: order.devices.slice(0, 1) }, false);
    expect(told(wish(agent, 4, 4))).toEqual([['refused', `${pf}: ${vf} is in use; release it first`]]);
    expect(told(wish(agent, 5, 8))).toEqual([['applied', null]]);
    agent.release(order);
    agent.setSriov({ revision: 6, wishes: [] });
    expect(agent.stamp().hash).toBe(hash);
  });
});
