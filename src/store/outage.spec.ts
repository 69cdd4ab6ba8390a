import { connect } from 'node:net';
import { QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { outageOf } from './outage.js';

const failed = (driverError: object): Error =>
  Object.assign(new Error('query failed'), { query: 'SELECT', driverError });

describe('outageOf', () => {
  it.each([
    ['an administrator ended the connection', failed({ code: '57P01' }), 'unavailable'],
    ['a statement took longer than it may', failed({ code: '57014' }), 'unavailable'],
    ['a transaction rested longer than it may', failed({ code: '25P03' }), 'unavailable'],
    ['too many connections', failed({ code: '53300' }), 'unavailable'],
    ['the connection broke', failed(new Error('Connection terminated unexpectedly')), 'unavailable'],
    ['the connection broke in a transaction', new QueryRunnerProviderAlreadyReleasedError(), 'unavailable'],
    ['the connection broke in a query', new QueryRunnerAlreadyReleasedError(), 'unavailable'],
    ['no free connection in time', new Error('timeout exceeded when trying to connect'), 'unavailable'],
    ['no such table', failed({ code: '42P01' }), 'not_migrated'],
    ['a constraint', failed({ code: '23505' }), null],
    ['a file that is not there', Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' }), null],
    ['a bug', new TypeError('x is undefined'), null],
    ['nothing', undefined, null],
  ])('%s', (_what, error, expected) => {
    expect(outageOf(error)).toBe(expected);
  });

  it('knows what the operating system says of a closed port', async () => {
    const error = await new Promise((resolve) => connect(1, '127.0.0.1').once('error', resolve));
    expect(outageOf(error)).toBe('unavailable');
    expect(outageOf(new AggregateError([error], 'all addresses failed'))).toBe('unavailable');
  });
});
