import { table } from '../../../test/support/filter-cases.js';

table('AvailabilityZoneFilter', [
  ['any zone', { availabilityZone: 'az1' }, {}, null],
  ['the zone', { availabilityZone: 'az1' }, { availabilityZone: 'az1' }, null],
  ['the default zone', {}, { availabilityZone: 'nova' }, null],
  [
    'another zone',
    { availabilityZone: 'az1' },
    { availabilityZone: 'az2' },
    'zone.other: availability zone az2 wanted, the host is in az1',
  ],
]);
