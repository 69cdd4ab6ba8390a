import { describe, expect, it } from 'vitest';
import { KnownPaths } from './known-paths.js';

describe('KnownPaths', () => {
  const paths = new KnownPaths();
  paths.add(['GET', 'HEAD'], '/v1/flavors/:id');
  paths.add('PUT', '/v1/flavors/:id/extra_specs/:key');
  paths.add('GET', '/v1/openapi.json');

  it.each([
    ['DELETE', '/v1/flavors/x', 'request.method_not_allowed', 'GET, HEAD'],
    ['GET', '/v1/flavors/x/extra_specs/hw:a?b=c', 'request.method_not_allowed', 'PUT'],
    ['GET', '/v1/flavors/x/y', 'request.not_found', 'no path'],
    ['POST', '/v1/openapiXjson', 'request.not_found', 'no path'],
    ['GET', `/${'x'.repeat(5000)}`, 'request.not_found', 'no path'],
  ])('%s %s is %s', (method, url, code, says) => {
    const error = paths.refusal(method, url);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
    expect(error.message.length).toBeLessThan(300);
  });
});
