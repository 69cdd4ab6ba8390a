import { describe, expect, it } from 'vitest';
import { anAggregate, answerOf, aServer } from '../../../test/support/filter-cases.js';

describe('how much there is on a host', () => {
  const three = { servers: [aServer('a'), aServer('b', { settled: false }), aServer('c', { settled: false })] };
  const four = { servers: [...three.servers, aServer('d')] };
  const says = (key: string, value: string) => ({
    aggregates: [anAggregate({ [key]: value }), anAggregate({ [key]: '9' }, 'b')],
  });

  it.each([
    ['NumInstancesFilter', three, { maxInstancesPerHost: 4 }, null],
    [
      'NumInstancesFilter',
      four,
      { maxInstancesPerHost: 4 },
      ['servers.too_many: 4 server(s), at most 4 (max_instances_per_host)'],
    ],
    ['NumInstancesFilter', { ...four, ...says('max_instances_per_host', '1') }, {}, null],
    [
      'AggregateNumInstancesFilter',
      { ...three, ...says('max_instances_per_host', '3') },
      {},
      ['servers.too_many: 3 server(s), at most 3 (max_instances_per_host)'],
    ],
    [
      'AggregateNumInstancesFilter',
      { ...three, ...says('max_instances_per_host', '4') },
      { maxInstancesPerHost: 1 },
      null,
    ],
    ['AggregateNumInstancesFilter', { ...three, ...says('max_instances_per_host', 'few') }, {}, null],
    ['AggregateNumInstancesFilter', { ...three, ...says('max_instances_per_host', '2.5') }, {}, null],
    ['AggregateNumInstancesFilter', three, {}, null],
    ['IoOpsFilter', three, { maxIoOpsPerHost: 3 }, null],
    [
      'IoOpsFilter',
      three,
      { maxIoOpsPerHost: 2 },
      ['io_ops.too_many: 2 server(s) on the way to or from the host, at most 2 (max_io_ops_per_host)'],
    ],
    [
      'AggregateIoOpsFilter',
      { ...three, ...says('max_io_ops_per_host', '2') },
      {},
      ['io_ops.too_many: 2 server(s) on the way to or from the host, at most 2 (max_io_ops_per_host)'],
    ],
    ['AggregateIoOpsFilter', { ...three, ...says('max_io_ops_per_host', '3') }, { maxIoOpsPerHost: 1 }, null],
  ])('%s (case %#)', (name, host, policy, answer) => {
    expect(answerOf(name, host, {}, policy)).toEqual(answer);
  });

  it('is limited as in Nova when nobody says a number', () => {
    const many = (count: number, settled: boolean) =>
      Array.from({ length: count }, (_unused, at) => aServer(`s${at}`, { settled }));
    expect(answerOf('NumInstancesFilter', { servers: many(49, true) }, {})).toBeNull();
    expect(answerOf('NumInstancesFilter', { servers: many(50, true) }, {})).not.toBeNull();
    expect(answerOf('IoOpsFilter', { servers: many(7, false) }, {})).toBeNull();
    expect(answerOf('IoOpsFilter', { servers: many(8, false) }, {})).not.toBeNull();
  });
});
