import { aServer, table } from '../../../test/support/filter-cases.js';

const here = { servers: [aServer('a'), aServer('b')] };

table('DifferentHostFilter', [
  ['no hint', here, {}, null],
  ['an empty hint', here, { differentHost: [] }, null],
  ['servers elsewhere', here, { differentHost: ['c'] }, null],
  [
    'one here',
    here,
    { differentHost: ['c', 'a'] },
    'hint.different_host: 1 of the 2 server(s) of the hint different_host here, none wanted',
  ],
]);

table('SameHostFilter', [
  ['no hint', {}, {}, null],
  ['an empty hint', {}, { sameHost: [] }, null],
  ['one of them here', here, { sameHost: ['c', 'a'] }, null],
  [
    'none here',
    here,
    { sameHost: ['c'] },
    'hint.same_host: none of the 1 server(s) of the hint same_host here, one wanted',
  ],
]);
