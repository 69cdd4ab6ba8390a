import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadSettings } from '../../settings/load-settings.js';
import { CLIENT_FIELDS } from './client-fields.js';
import { clientSettings } from './client-settings.js';
import { filesAtHand } from './settings-files.js';

const folder = mkdtempSync(join(tmpdir(), 'berth-client-'));
afterAll(() => rmSync(folder, { recursive: true }));
const profiles = join(folder, 'client.yaml');
const clouds = join(folder, 'clouds.yaml');

function settings(
  flags: Parameters<typeof clientSettings>[0],
  env: Readonly<Record<string, string>> = {},
  texts: { readonly profiles?: string; readonly clouds?: string } = {},
) {
  const warnings: string[] = [];
  writeFileSync(profiles, texts.profiles ?? '');
  writeFileSync(clouds, texts.clouds ?? '');
  const found = clientSettings(flags, env, { profiles, clouds: [clouds], warn: (line) => warnings.push(line) });
  return { ...found, warnings };
}

describe('where Berth is', () => {
  it('is on this machine, unless it is said', () => {
    expect(settings({})).toMatchObject({ url: 'http://127.0.0.1:8790', authType: 'none', insecure: false });
  });

  it('is said by flags, then BERTH_*, then OS_*, then a cloud, then a profile', () => {
    const texts = {
      profiles: 'profile: p\nprofiles: {p: {url: "http://profile"}}',
      clouds: 'clouds: {c: {berth_endpoint_override: "http://cloud"}}',
    };
    const env = { BERTH_URL: 'http://ours', OS_ENDPOINT: 'http://theirs', OS_CLOUD: 'c' };
    const { BERTH_URL: _, ...theirs } = env;
    expect(settings({ url: 'http://flag' }, env, texts).url).toBe('http://flag');
    expect(settings({}, env, texts).url).toBe('http://ours');
    expect(settings({}, theirs, texts).url).toBe('http://theirs');
    expect(settings({}, { OS_CLOUD: 'c' }, texts).url).toBe('http://cloud');
    expect(settings({}, { OS_ENDPOINT: '' }, texts).url).toBe('http://profile');
  });

  it.each([
    ['http://h:1/compute/v2.1', 'http://h:1'],
    ['http://h/placement/', 'http://h'],
    ['https://h/berth/identity/v3', 'https://h/berth'],
    ['https://h/berth/', 'https://h/berth'],
  ])('%s: other faces are beside ours', (said, url) => {
    expect(settings({ url: said }).url).toBe(url);
  });

  it.each(['nowhere', 'ftp://h', '127.0.0.1:8790'])('%s is no URL', (url) => {
    expect(() => settings({ url })).toThrow(`--url: "${url}" is not a URL`);
  });
});

describe('who asks', () => {
  it.each<[string, Record<string, string>, string]>([
    ['a token says it', { OS_TOKEN: 't' }, 'token'],
    ['a type counts more than a token', { OS_TOKEN: 't', OS_AUTH_TYPE: 'none' }, 'none'],
    ['a name alone does not', { OS_USERNAME: 'u', OS_PASSWORD: 'p' }, 'none'],
    ['an identity service and a name do', { OS_USERNAME: 'u', OS_AUTH_URL: 'http://k/v3' }, 'password'],
    ['other clients’ words are known', { OS_AUTH_TYPE: 'v3password', OS_AUTH_URL: 'http://k' }, 'password'],
  ])('%s', (_what, env, authType) => {
    expect(settings({}, env).authType).toBe(authType);
  });

  it('a flag’s token comes before a type of a file', () => {
    const texts = { profiles: 'profiles: {p: {auth_type: http_basic, username: u, password: p}}' };
    expect(settings({ profile: 'p', token: 't' }, {}, texts)).toMatchObject({ authType: 'token', username: 'u' });
  });

  it('a URL is left to the catalog where there is one', () => {
    expect(settings({}, { OS_AUTH_URL: 'http://k', OS_USERNAME: 'u' }).url).toBeNull();
    expect(settings({}, { OS_AUTH_URL: 'http://k', OS_AUTH_TYPE: 'http_basic' }).url).toBe('http://127.0.0.1:8790');
  });

  it('projects and domains go by id or name', () => {
    expect(settings({}, { OS_PROJECT_NAME: 'red', OS_USER_DOMAIN_NAME: 'site' })).toMatchObject({
      ...{ project: { name: 'red' }, userDomain: { name: 'site' }, projectDomain: { id: 'default' } },
    });
    expect(settings({}, { OS_PROJECT_ID: '7', OS_PROJECT_NAME: 'red' }).project).toEqual({ id: '7' });
  });

  it('an unknown type is told', () => {
    expect(() => settings({}, { OS_AUTH_TYPE: 'kerberos' })).toThrow('"kerberos" is none of none, http_basic');
  });
});

describe('files', () => {
  it.each<[string, { profiles?: string; clouds?: string }, Record<string, string>, string]>([
    [
      'a profile that is not there',
      { profiles: 'profiles: {a: {}}' },
      { BERTH_PROFILE: 'b' },
      'there is no "b"; there is: a',
    ],
    [
      'a key',
      { profiles: 'profile: a\nprofiles: {a: {user_name: x}}' },
      {},
      'profiles.a.user_name: unknown; did you mean "username"?',
    ],
    ['another key', { profiles: 'profils: {}' }, {}, 'profils: unknown; there are profile and profiles'],
    ['YAML', { profiles: 'profiles: [' }, {}, 'client.yaml: '],
    ['a list', { profiles: 'profiles: []' }, {}, 'profiles: has to be a mapping'],
    ['a cloud', { clouds: 'clouds: {a: {}}' }, { OS_CLOUD: 'toString' }, 'there is no "toString"; there is: a'],
  ])('are refused with what is wrong: %s', (_what, texts, env, problem) => {
    expect(() => settings({}, env, texts)).toThrow(problem);
  });

  it('of OpenStack are read as far as they matter here', () => {
    const cloud = `clouds:
  lab:
    auth: {auth_url: "https://k/v3", username: ann, password: secret, project_id: 17, user_domain_name: site}
    region_name: north
    interface: internal
    verify: false
    cacert: /etc/ca.pem
    identity_api_version: 3
`;
    expect(settings({ cloud: 'lab' }, {}, { clouds: cloud })).toMatchObject({
      ...{ authType: 'password', authUrl: 'https://k/v3', username: 'ann', password: 'secret', region: 'north' },
      ...{ project: { id: '17' }, userDomain: { name: 'site' }, interface: 'internal', insecure: true },
      ...{ caCert: '/etc/ca.pem', url: null, warnings: [] },
    });
  });

  it('are looked for where they usually are', () => {
    const at = filesAtHand({ HOME: '/home/ann', OS_CLIENT_CONFIG_FILE: '/x.yaml' }, () => undefined);
    expect(at).toMatchObject({
      profiles: '/home/ann/.config/berth/client.yaml',
      clouds: ['/x.yaml', 'clouds.yaml', '/home/ann/.config/openstack/clouds.yaml', '/etc/openstack/clouds.yaml'],
    });
    expect(filesAtHand({}, () => undefined)).toMatchObject({ profiles: null });
  });
});

it('no variable of the client is taken for a setting of the service', () => {
  const names = Object.values(CLIENT_FIELDS).flatMap(({ variables }) => [...variables] as string[]);
  const env = Object.fromEntries([...names, 'BERTH_PROFILE'].map((name) => [name, 'x']));
  expect(() => loadSettings({ files: [], env })).not.toThrow();
});
