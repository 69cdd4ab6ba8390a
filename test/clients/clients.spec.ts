import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { type OpenStackCloud, startOpenStackCloud } from '../support/openstack-cloud.js';
import { OpenStackClient, type Printed } from './openstack-client.js';
import { type Auth, type Shown, type Step, STORY } from './stories.js';

const PASSWORD = 'a password';
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3WbUS0b3HP6Vj6vIWcZ9sPxVGqcO2JNkZpXXq0gjLZ somebody@example\n';

let cloud: OpenStackCloud;
let client: OpenStackClient;
let keyFile: string;

beforeAll(async () => {
  const admin = { name: 'admin', password: PASSWORD, project: 'admin', role: 'admin' } as const;
  [cloud, client] = await Promise.all([startOpenStackCloud(inject('databaseUrl'), [admin]), OpenStackClient.start()]);
  keyFile = join(cloud.fleet.apiConfigDir, 'key.pub');
  writeFileSync(keyFile, PUBLIC_KEY);
});
afterAll(async () => {
  await client?.close();
  await cloud?.close();
});

describe.each(['none', 'http_basic', 'password'] as const)('the openstack client with --os-auth-type %s', (auth) => {
  const kept = new Map<string, string>([['a', auth.replace('_', '-')]]);
  const steps = STORY.filter((step) => step.auth?.includes(auth) !== false);

  it.each(steps.map((step, at) => [`${at + 1}. openstack ${step.command}`, step] as const))(
    '%s',
    async (_name, step) => {
      kept.set('key', keyFile);
      const asJson = step.exit === undefined && isJson(step.shows);
      const words = [...wordsOf(filled(step.command, kept)), ...(asJson ? ['-f', 'json'] : [])];
      const printed = await client.run([...credentials(auth, words), ...words]);
      expect(printed.code, told(printed)).toBe(step.exit ?? 0);
      expectShown(printed, step, kept);
      for (const [name, path] of Object.entries(step.keep ?? {})) kept.set(name, fieldOf(printed, path));
    },
  );
});

function isJson(shows: Shown | undefined): boolean {
  return shows !== undefined && (!(shows instanceof RegExp) || /\\\[|"/.test(shows.source));
}

/** How the client is told who asks. Without an identity service it has to be told where the one service is that a command is for. */
function credentials(auth: Auth, words: readonly string[]): string[] {
  const user = ['--os-username', 'admin', '--os-password', PASSWORD];
  if (auth === 'password') {
    const domains = ['--os-user-domain-id', 'default', '--os-project-domain-id', 'default'];
    return ['--os-auth-url', `${cloud.url}/identity/v3`, ...user, '--os-project-name', 'admin', ...domains];
  }
  const [url, more] = auth === 'none' ? [cloud.openUrl, []] : [cloud.url, user];
  return ['--os-auth-type', auth, '--os-endpoint', `${url}/${serviceOf(auth, words)}`, ...more];
}

function serviceOf(auth: Auth, words: readonly string[]): string {
  const noun = words.find((word, at) => !word.startsWith('--') && words[at - 1]?.startsWith('--os-') !== true) ?? '';
  // Only with none the client looks which versions there are.
  if (noun === 'image') return auth === 'none' ? 'image' : 'image/v2';
  return ['resource', 'trait', 'allocation'].includes(noun) ? 'placement' : 'compute/v2.1';
}

/** Words as a shell sees them: double quotes are taken away. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/(?:"[^"]*"|[^\s"])+/g)].map(([word]) => word.replaceAll('"', ''));
}

function filled(text: string, kept: ReadonlyMap<string, string>): string {
  return text.replace(/\{([a-z]+)\}/g, (whole, name: string) => kept.get(name) ?? whole);
}

function expectShown(printed: Printed, { shows, exit }: Step, kept: ReadonlyMap<string, string>): void {
  if (shows === undefined) return;
  const text = exit === undefined ? printed.stdout.trim() : printed.stderr;
  if (shows instanceof RegExp) {
    expect(text).toMatch(new RegExp(filled(shows.source, kept)));
    return;
  }
  const wanted = JSON.parse(filled(JSON.stringify(shows), kept)) as unknown;
  const found = JSON.parse(text) as unknown;
  // A list has to have what is named, whatever else it has.
  if (Array.isArray(wanted))
    expect(found).toEqual(expect.arrayContaining(wanted.map((one) => expect.objectContaining(one))));
  else expect(found).toMatchObject(wanted as object);
}

/** @param path `id`, or `0.uuid` of the first of a list */
function fieldOf({ stdout }: Printed, path: string): string {
  let value: unknown = JSON.parse(stdout);
  for (const key of path.split('.')) value = (value as Record<string, unknown>)[key];
  return String(value);
}

function told({ stdout, stderr }: Printed): string {
  return `${stdout}\n${stderr}`.trim().slice(-2000);
}
