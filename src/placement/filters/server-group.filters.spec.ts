import { describe, expect, it } from 'vitest';
import { answerOf, aServer } from '../../../test/support/filter-cases.js';
import { aHost } from '../../../test/support/snapshots.js';
import type { HostedServer } from '../snapshot.js';

describe('server groups', () => {
  const group = { id: 'g', name: 'web', policy: 'anti-affinity', maxServerPerHost: 1 } as const;
  const members = (count: number): HostedServer[] =>
    Array.from({ length: count }, (_unused, at) => aServer(`m${at}`, { groupId: 'g' }));

  it.each([
    ['nobody there', [], group, null],
    ['somebody of another group', [aServer('x', { groupId: 'other' })], group, null],
    [
      'one there',
      members(1),
      group,
      ['group.anti_affinity: 1 of server group web here already, at most 1 on one host'],
    ],
    ['one there, two allowed', members(1), { ...group, maxServerPerHost: 2 }, null],
    [
      'two there, two allowed',
      members(2),
      { ...group, maxServerPerHost: 2 },
      ['group.anti_affinity: 2 of server group web here already, at most 2 on one host'],
    ],
    ['another policy', members(3), { ...group, policy: 'soft-anti-affinity' as const }, null],
  ])('anti-affinity: %s', (_what, servers, wish, answer) => {
    expect(answerOf('ServerGroupAntiAffinityFilter', { servers }, { host: { group: wish } })).toEqual(answer);
  });

  const withMember = aHost('other', [], { servers: members(1) });
  it.each([
    ['the first member', [], [], null],
    ['one here', members(1), [withMember], null],
    [
      'one elsewhere',
      [],
      [withMember],
      ['group.affinity: server group web keeps together and is on 1 other host, not here'],
    ],
    [
      'somebody of another group here',
      [aServer('x', { groupId: 'y' })],
      [withMember],
      ['group.affinity: server group web keeps together and is on 1 other host, not here'],
    ],
  ])('affinity: %s', (_what, servers, others, answer) => {
    const wish = { ...group, policy: 'affinity' as const };
    expect(answerOf('ServerGroupAffinityFilter', { servers }, { host: { group: wish } }, {}, others)).toEqual(answer);
    const soft = { ...group, policy: 'soft-affinity' as const };
    expect(answerOf('ServerGroupAffinityFilter', { servers }, { host: { group: soft } }, {}, others)).toBeNull();
  });
});
