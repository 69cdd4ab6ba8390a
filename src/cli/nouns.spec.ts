import { readdirSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { nodesOf, treeOf } from './completion/command-tree.js';
import { addNouns } from './nouns.js';

const HERE = new URL('.', import.meta.url);
/** What others do as well, for one key or for all. */
const BY_OTHER_COMMANDS = [
  ...['DELETE /v1/flavors/{id}/extra_specs', 'PUT /v1/flavors/{id}/extra_specs/{key}', 'DELETE /v1/placements'],
];

it('every operation under /v1 has a command', () => {
  const files = ['nouns', 'reports'].flatMap((folder) =>
    readdirSync(new URL(folder, HERE)).map((file) => readFileSync(new URL(`${folder}/${file}`, HERE), 'utf8')),
  );
  const asked = files.flatMap((text) => [...text.matchAll(/\.(GET|POST|PUT|PATCH|DELETE)\(\s*['`](\/v1[^'`]*)['`]/g)]);
  const patterns = asked.map(([, method, path = '']) => {
    const literal = path.split(/\$\{\w+\}/).map((part) => part.replace(/[{}.]/g, '\\$&'));
    return new RegExp(`^${method} ${literal.join('[a-z_]+')}$`);
  });
  const document = readFileSync(new URL('../../openapi/openapi.json', HERE), 'utf8');
  const { paths } = JSON.parse(document) as { paths: Record<string, Record<string, unknown>> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    path.startsWith('/v1/') ? Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`) : [],
  );
  const without = operations.filter((operation) => !patterns.some((pattern) => pattern.test(operation)));
  expect(without.sort()).toEqual(BY_OTHER_COMMANDS.sort());
});

it('a noun is loaded when it is named, and not when it is not', async () => {
  const program = new Command('berth');
  await addNouns(program, ['--url', 'http://h', 'flavor', 'list'], {}, false);
  const verbs = (noun: string): number => program.commands.find((one) => one.name() === noun)?.commands.length ?? -1;
  expect([verbs('flavor') > 3, verbs('server')]).toEqual([true, 0]);
});

it.each([
  ['device-claim list h', 'device claim list h'],
  ['--url u server-group show x', '--url u server group show x'],
  ['server show device-claim', 'server show device-claim'],
  ['flavor create server-group', 'flavor create server-group'],
])('"berth %s" is "berth %s"', async (written, meant) => {
  expect(await addNouns(new Command('berth'), written.split(' '), {}, false)).toEqual(meant.split(' '));
});

it('every command says what it does, and its options what they are for', async () => {
  const program = new Command('berth');
  await addNouns(program, [], {}, true);
  const nodes = nodesOf(treeOf(program)).slice(1);
  expect(nodes.filter(({ about }) => about === '').map(({ path }) => path.join(' '))).toEqual([]);
  const silent = nodes.flatMap(({ options }) => options.filter(({ description }) => description === ''));
  expect(silent.map(({ flags }) => flags)).toEqual([]);
  expect(nodes.length).toBeGreaterThan(100);
});
