import { table } from '../../../test/support/filter-cases.js';

table('RequestedHostFilter', [
  ['any host', {}, {}, null],
  ['the host', { name: 'node-7' }, { requestedHost: 'node-7' }, null],
  ['another host', { name: 'node-8' }, { requestedHost: 'node-7' }, 'host.not_requested: another host was asked for'],
]);
