import { describe, expect, it } from 'vitest';
import { COMPUTE, faceOf, type FaceRequest, faceUrl, greet } from './faces.js';

/** What a request leaves behind. */
function greeted(url: string, headers: FaceRequest['headers'] = {}) {
  const request: FaceRequest = { url, headers };
  const answer: Record<string, string> = {};
  greet(request, { header: (name, value) => (answer[name.toLowerCase()] = value) });
  return { request, answer };
}

describe('faces', () => {
  it.each([
    ['/compute', '/compute'],
    ['/compute/v2.1', '/compute'],
    ['/compute?x=1', '/compute'],
    ['/placement/traits', '/placement'],
    ['/identity/v3', '/identity'],
    ['/image', '/image'],
  ])('%s belongs to %s', (url, prefix) => expect(faceOf(url)?.prefix).toBe(prefix));

  it.each(['/v1/servers', '/computer', '/placements', '/v2.1', '/'])('%s belongs to none', (url) =>
    expect(faceOf(url)).toBeNull(),
  );

  it.each([
    ['/v2.1', '/compute/v2.1'],
    ['/v2.1/', '/compute/v2.1'],
    ['/v2/', '/compute/v2'],
    ['/v2?x=/', '/compute/v2?x=/'],
    ['/v2/32e0/servers', '/compute/v2.1/servers'],
    ['/compute/v2/servers?a=b', '/compute/v2.1/servers?a=b'],
    ['/v2.1/servers?name=a/', '/compute/v2.1/servers?name=a/'],
    ['/compute/v2.1/servers/', '/compute/v2.1/servers'],
    ['/v2.1/32e0/servers/detail', '/compute/v2.1/servers/detail'],
    ['/compute/v2.1/os-quota-sets/32e0', '/compute/v2.1/os-quota-sets/32e0'],
    ['/compute/v2.1/servers/servers', '/compute/v2.1/servers/servers'],
    ['/placement/?x', '/placement?x'],
    ['/v1/servers/', '/v1/servers/'],
    ['/v2.10/servers', '/v2.10/servers'],
  ])('%s is served at %s', (url, served) => expect(faceUrl(url)).toBe(served));
});

it('what is too much is told by Nova with the time to wait, if there is one', () => {
  const fault = { code: 'request.too_many', status: 429, detail: 'slower', headers: { 'retry-after': '7' } };
  expect(COMPUTE.fault(fault)).toEqual({ overLimit: { code: 429, message: 'slower', retryAfter: '7' } });
  expect(COMPUTE.fault({ ...fault, status: 413, detail: 'large', headers: {} })).toEqual({
    overLimit: { code: 413, message: 'large' },
  });
  expect(COMPUTE.fault({ ...fault, status: 503 })).toEqual({ serviceUnavailable: { code: 503, message: 'slower' } });
});

describe('versions of faces', () => {
  it.each([
    [{}, 1],
    [{ 'openstack-api-version': 'compute 2.61' }, 61],
    [{ 'openstack-api-version': 'placement 1.5, Compute 2.61' }, 61],
    [{ 'openstack-api-version': 'placement 1.5' }, 1],
    [{ 'x-openstack-nova-api-version': '2.10' }, 10],
    [{ 'x-openstack-nova-api-version': '2.10', 'openstack-api-version': 'compute 2.2' }, 2],
    [{ 'openstack-api-version': 'compute latest' }, COMPUTE.versions.last],
  ])('%j asks for 2.%i', (headers, minor) => {
    const { request, answer } = greeted('/compute/v2.1/servers', headers);
    expect(request.microversion).toBe(minor);
    expect(answer['openstack-api-version']).toBe(`compute 2.${minor}`);
    expect(answer['x-openstack-nova-api-version']).toBe(`2.${minor}`);
    expect(answer['vary']).toContain('OpenStack-API-Version');
    expect(answer['x-compute-request-id']).toBe(request.requestId);
  });

  it.each(['compute', 'compute 2', 'compute two', 'compute 2.1.1', 'compute 2.01', 'compute -2.1'])(
    '%s is malformed',
    (text) => {
      expect(() => greeted('/compute/v2.1', { 'openstack-api-version': text })).toThrow(
        expect.objectContaining({ code: 'microversion.invalid' }),
      );
    },
  );

  it.each(['compute 2.0', 'compute 2.94', 'compute 3.1', 'compute 1.1'])('%s is not served', (text) => {
    expect(() => greeted('/compute/v2.1', { 'openstack-api-version': text })).toThrow(
      expect.objectContaining({ code: 'microversion.unsupported' }),
    );
  });

  it('nothing is said of versions on the native paths', () => {
    expect(greeted('/v1/servers', { 'openstack-api-version': 'compute 9' }).answer).toEqual({});
  });
});
