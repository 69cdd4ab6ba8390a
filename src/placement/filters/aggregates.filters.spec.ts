import { describe, expect, it } from 'vitest';
import { anAggregate, answerOf, table } from '../../../test/support/filter-cases.js';

const SSD = 'aggregate_instance_extra_specs:ssd';

table('AggregateInstanceExtraSpecsFilter', [
  ['no extra specs', {}, {}, null],
  ['of another scope', {}, { extraSpecs: { 'hw:cpu_policy': 'dedicated', 'trait:CUSTOM_A': 'required' } }, null],
  ['as the aggregate says', { aggregates: [anAggregate({ ssd: 'true' })] }, { extraSpecs: { [SSD]: 'true' } }, null],
  ['without scope', { aggregates: [anAggregate({ ssd: 'true' })] }, { extraSpecs: { ssd: 's== true' } }, null],
  ['one of a list', { aggregates: [anAggregate({ ssd: 'nvme, sata' })] }, { extraSpecs: { [SSD]: 'sata' } }, null],
  [
    'one of two aggregates',
    { aggregates: [anAggregate({ ssd: 'nvme' }), anAggregate({ ssd: 'sata' }, 'b')] },
    { extraSpecs: { [SSD]: '<or> sas <or> sata' } },
    null,
  ],
  [
    'a key with colons',
    { aggregates: [anAggregate({ 'disk:kind': 'ssd' })] },
    { extraSpecs: { 'aggregate_instance_extra_specs:disk:kind': 'ssd' } },
    null,
  ],
  [
    'another value',
    { aggregates: [anAggregate({ ssd: 'false' })] },
    { extraSpecs: { [SSD]: 'true' } },
    'aggregate.extra_spec: extra spec ssd: "true" wanted, the aggregates of the host say something else',
  ],
  [
    'no aggregate',
    {},
    { extraSpecs: { ssd: 'true' } },
    'aggregate.extra_spec: extra spec ssd: "true" wanted, the aggregates of the host say nothing of it',
  ],
  [
    'names of Object',
    { aggregates: [anAggregate({})] },
    { extraSpecs: { constructor: '!= 1' } },
    'aggregate.extra_spec: extra spec constructor: "!= 1" wanted, the aggregates of the host say nothing of it',
  ],
]);

table('AggregateImagePropertiesIsolation', [
  ['no image', { aggregates: [anAggregate({ os_type: 'windows' })] }, {}, null],
  [
    'an image without the property',
    { aggregates: [anAggregate({ os_type: 'windows' })] },
    { imageProperties: { hw_x: '1' } },
    null,
  ],
  [
    'as the aggregate says',
    { aggregates: [anAggregate({ os_type: 'linux,windows' })] },
    { imageProperties: { os_type: 'windows' } },
    null,
  ],
  ['a host without aggregates', {}, { imageProperties: { os_type: 'windows' } }, null],
  [
    'another value',
    { aggregates: [anAggregate({ os_type: 'linux' })] },
    { imageProperties: { os_type: 'windows' } },
    'aggregate.image_property: image property os_type is "windows", the aggregates of the host take others',
  ],
]);

describe('AggregateMultiTenancyIsolation', () => {
  it.each([
    ['no aggregate', [], null],
    ['an aggregate for everybody', [anAggregate({ ssd: 'true' })], null],
    ['ours', [anAggregate({ filter_tenant_id: 'mine' })], null],
    ['ours and others', [anAggregate({ filter_tenant_id: 'p1, mine' })], null],
    [
      'ours by another aggregate',
      [anAggregate({ filter_tenant_id: 'p1' }), anAggregate({ filter_tenant_id: 'mine' }, 'b')],
      null,
    ],
    [
      'another one',
      [anAggregate({ filter_tenant_id: 'p1' })],
      ['aggregate.other_projects: the host is kept for 1 other project'],
    ],
    [
      'several others',
      [anAggregate({ filter_tenant_id: 'p1,p2' }), anAggregate({ filter_tenant_id: 'p3,p1' }, 'b')],
      ['aggregate.other_projects: the host is kept for 3 other projects'],
    ],
  ])('%s', (_what, aggregates, answer) => {
    expect(answerOf('AggregateMultiTenancyIsolation', { aggregates }, { projectId: 'mine' })).toEqual(answer);
  });
});
