import { describe, expect, it } from 'vitest';
import type { AgentStamp } from '../messages/bodies.js';
import { HostLeases, type LedgerHost } from './host-leases.js';

const SILENT_MS = 60_000;
const HASH = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

const row = (more: Partial<LedgerHost> = {}): LedgerHost => {
  return { id: 'id-a', name: 'a', status: 'up', epoch: 10, sequence: 3, hash: HASH, ...more };
};
const said = (more: Partial<AgentStamp> = {}): AgentStamp => ({
  host: 'a',
  epoch: 10,
  sequence: 3,
  hash: HASH,
  ...more,
});

/** Leases that know hosts `a` and have heard well since 0. */
function leases(known: readonly LedgerHost[] = [row()]): HostLeases {
  const made = new HostLeases(SILENT_MS);
  made.look(true, 0);
  made.know(known, 0);
  return made;
}

/** As the scheduler does it: looks every second. */
function passTo(made: HostLeases, from: number, to: number): void {
  for (let now = from; now <= to; now += 1_000) made.look(true, now);
}

describe('a heartbeat', () => {
  it.each([
    ['as the ledger has it', row(), said(), [], []],
    ['with a new epoch and the same hash', row(), said({ epoch: 11, sequence: 0 }), ['a'], []],
    ['with a new epoch and another hash', row(), said({ epoch: 11, sequence: 0, hash: OTHER }), [], ['a']],
    ['with another hash', row(), said({ hash: OTHER }), [], ['a']],
    ['with another hash, overtaken by a report', row(), said({ sequence: 2, hash: OTHER }), [], []],
    ['of a former epoch', row(), said({ epoch: 9, hash: OTHER }), [], []],
    ['of a host that is down', row({ status: 'down' }), said(), [], ['a']],
    ['of a host that is down, with a new epoch', row({ status: 'down' }), said({ epoch: 11 }), [], ['a']],
    ['of an unknown host', row({ name: 'b' }), said(), [], ['a']],
  ])('%s', (_name, known, beat, adopt, ask) => {
    const made = leases([known]);
    made.hear(beat, 1_000);
    expect(made.hasOpen()).toBe(adopt.length + ask.length > 0);
    const toDo = made.toDo(7_000);
    expect([toDo.adopt.map(({ host }) => host), toDo.ask]).toEqual([adopt, ask]);
  });

  it('is adopted with what it says, and is no news once the ledger has it', () => {
    const made = leases();
    made.hear(said({ epoch: 11, sequence: 0 }), 1_000);
    expect(made.toDo(1_000).adopt).toEqual([{ id: 'id-a', host: 'a', epoch: 11, sequence: 0, hash: HASH }]);
    made.know([row({ epoch: 11, sequence: 0 })], 1_100);
    expect(made.hasOpen()).toBe(false);
    made.hear(said(), 1_200);
    expect(made.hasOpen()).toBe(false);
  });

  it('has a host asked ever more rarely, and anew after it has reported', () => {
    const made = leases();
    const asked: number[] = [];
    for (let now = 0; now <= 80_000; now += 1_000) {
      made.hear(said({ hash: OTHER }), now);
      if (made.toDo(now).ask.length > 0) asked.push(now);
    }
    expect(asked).toEqual([0, 5_000, 15_000, 35_000, 75_000]);
    made.know([row({ sequence: 4, hash: OTHER })], 81_000);
    expect(made.hasOpen()).toBe(false);
  });

  it('of a host that has sent a report just now has it asked only when the report does not come', () => {
    const made = leases();
    made.hear(said({ sequence: 4, hash: OTHER }), 1_000);
    expect([made.toDo(1_000).ask, made.toDo(5_999).ask, made.toDo(6_000).ask]).toEqual([[], [], ['a']]);
  });

  it('does not have thousands of hosts asked at once, nor more while those that were asked have not answered', () => {
    const made = leases([]);
    for (let index = 0; index < 1_200; index++) made.hear(said({ host: `host-${index}` }), 0);
    const first = made.toDo(6_000).ask;
    expect([first.length, made.toDo(7_000).ask]).toEqual([500, []]);
    made.know(
      first.slice(0, 100).map((name) => row({ id: name, name })),
      7_500,
    );
    const second = made.toDo(8_000).ask;
    expect(second).toHaveLength(100);
    // after a while those that do not answer hold up nobody, and who was not asked yet comes first
    const third = made.toDo(11_000).ask;
    expect(third).toHaveLength(400);
    const fourth = made.toDo(16_000).ask;
    expect(new Set([...first, ...second, ...third, ...fourth]).size).toBe(1_200);
  });
});

describe('silence', () => {
  it('is half of the time a doubt, once, and after the whole time silence', () => {
    const made = leases();
    passTo(made, 0, 29_000);
    expect([made.doubtful(29_000), made.silent(29_000)]).toEqual([[], []]);
    passTo(made, 30_000, 31_000);
    expect([made.doubtful(30_000), made.doubtful(31_000)]).toEqual([['a'], []]);
    passTo(made, 32_000, 60_000);
    expect(made.silent(59_999)).toEqual([]);
    expect(made.silent(60_000)).toEqual([row()]);
  });

  it('is broken by a heartbeat, by a report that anybody took in, and not by a former life', () => {
    const made = leases([row(), row({ id: 'id-b', name: 'b' }), row({ id: 'id-c', name: 'c' })]);
    passTo(made, 0, 40_000);
    made.hear(said(), 40_000);
    made.hear(said({ host: 'c', epoch: 9 }), 40_000);
    made.know([row({ id: 'id-b', name: 'b', sequence: 4 })], 40_000);
    passTo(made, 41_000, 61_000);
    expect(made.silent(61_000).map(({ name }) => name)).toEqual(['c']);
  });

  it('of hosts that are down already is none', () => {
    const made = leases([row({ status: 'down' })]);
    passTo(made, 0, 90_000);
    expect(made.silent(90_000)).toEqual([]);
  });

  it.each([
    ['could not hear', (made: HostLeases) => made.look(false, 59_000)],
    ['stood still', (made: HostLeases) => made.look(true, 95_000)],
  ])('gives every host its time again when the scheduler %s', (_name, interruption) => {
    const made = leases();
    passTo(made, 0, 58_000);
    interruption(made);
    expect(made.silent(95_000)).toEqual([]);
    made.look(true, 96_000);
    expect(made.silent(100_000)).toEqual([]);
    passTo(made, 97_000, 156_000);
    expect(made.silent(156_000).map(({ name }) => name)).toEqual(['a']);
  });

  it('is unknown to who has never heard', () => {
    const made = new HostLeases(SILENT_MS);
    made.know([row()], 0);
    made.look(false, 0);
    expect(made.silent(3_600_000)).toEqual([]);
  });
});
