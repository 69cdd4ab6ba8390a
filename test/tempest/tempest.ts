import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { type OpenStackCloud, startOpenStackCloud } from '../support/openstack-cloud.js';
import { installPackages } from '../support/packages.js';
import { startPostgres } from '../support/postgres.js';
import { spawnTied } from '../support/processes.js';
import { type TempestUser, writeConfiguration } from './configuration.js';
import { logIn, makeFlavors, makeImages } from './resources.js';
import { judge, readExpected, readResults, type Results } from './results.js';

const USAGE = `npm run test:tempest -- [--target URL --admin name:password:project … --user name:password:project …]
  [--images id,id] [--flavors id,id] [--hosts 2] [--regex '^tempest\\.api\\.compute'] [--concurrency 2] [--passes 260] [--keep]

Without --target it starts Berth. The target's identity service has to be at /identity/v3. One --admin and two --user, each with a
project of its own, are needed for each of the tests that run at once (--concurrency).
--passes is how many tests have to pass at least; --keep leaves logs and results where they are.
`;
const RUNNER = '/usr/bin/stestr';
const PACKAGES = ['tempest', 'python3-stestr'];
const EXPECTED = join(import.meta.dirname, 'expected-failures.txt');
const PASSWORD = 'a password';
/** A test class takes up to three users for itself, so that each worker needs three. */
const OWN_USERS: readonly TempestUser[] = [
  ...['admin', 'other-admin'].map((name) => ({ name, password: PASSWORD, project: name, isAdmin: true })),
  ...['demo', 'alt', 'other-demo', 'other-alt'].map((name) => ({
    name,
    password: PASSWORD,
    project: name,
    isAdmin: false,
  })),
];

interface Options {
  /** null: Berth is started. */
  readonly target: string | null;
  readonly users: readonly TempestUser[];
  readonly images: [string, string] | null;
  readonly flavors: [string, string] | null;
  readonly hosts: number;
  readonly regex: string;
  readonly concurrency: number;
  readonly passes: number;
  readonly keep: boolean;
}

/** @returns the exit code: 0 when enough passed and no failure is new, 1 else, 2 when it could not be tried */
export async function main(words: readonly string[]): Promise<number> {
  const options = optionsOf(words);
  if (options === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (!existsSync(RUNNER) || !existsSync('/usr/bin/tempest')) {
    const problem = await installPackages('Tempest', PACKAGES);
    if (problem !== null) throw new Error(`This needs Tempest: ${problem}`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'berth-tempest-'));
  const postgres = options.target === null ? await startPostgres() : null;
  let cloud: OpenStackCloud | null = null;
  try {
    cloud = postgres && (await startOpenStackCloud(postgres.url, options.users.map(cloudUser)));
    const results = await runAgainst(cloud?.url ?? (options.target as string), options, folder);
    return report(results, options);
  } finally {
    await cloud?.close();
    await postgres?.stop();
    if (options.keep) say(`logs and results: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

function optionsOf(words: readonly string[]): Options | null {
  const text = { type: 'string' } as const;
  const several = { ...text, multiple: true } as const;
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        ...{ target: text, admin: several, user: several, images: text, flavors: text, hosts: text },
        ...{ regex: text, concurrency: text, passes: text, keep: { type: 'boolean' } },
      },
    });
    const { target = null, admin = [], user = [] } = values;
    const given = [...admin.map((one) => userOf(one, true)), ...user.map((one) => userOf(one, false))];
    const users = target === null ? OWN_USERS : given;
    const concurrency = Number(values.concurrency ?? (target === null ? 2 : admin.length));
    const [admins, others] = [users.filter(({ isAdmin }) => isAdmin), users.filter(({ isAdmin }) => !isAdmin)];
    if ((target === null && given.length > 0) || !(concurrency >= 1)) return null;
    if (admins.length < concurrency || others.length < 2 * concurrency) return null;
    return {
      target: target?.replace(/\/+$/, '') ?? null,
      users,
      concurrency,
      ...{ images: pairOf(values.images), flavors: pairOf(values.flavors), hosts: Number(values.hosts ?? 2) },
      regex: values.regex ?? '^tempest\\.api\\.compute',
      ...{ passes: Number(values.passes ?? 260), keep: values.keep === true },
    };
  } catch {
    return null;
  }
}

function userOf(text: string, isAdmin: boolean): TempestUser {
  const [name, password, project] = text.split(':');
  if (name === undefined || password === undefined || project === undefined) throw new Error(text);
  return { name, password, project, isAdmin };
}

function pairOf(text: string | undefined): [string, string] | null {
  const [one, other] = text?.split(',') ?? [];
  return one === undefined || other === undefined ? null : [one, other];
}

function cloudUser({ name, password, project, isAdmin }: TempestUser) {
  return { name, password, project, role: isAdmin ? ('admin' as const) : ('member' as const) };
}

async function runAgainst(target: string, options: Options, folder: string): Promise<Results> {
  const identityUrl = `${target}/identity/v3`;
  const access = await logIn(identityUrl, options.users.find(({ isAdmin }) => isAdmin) as TempestUser);
  const env = writeConfiguration(folder, {
    ...{ identityUrl, users: options.users, hosts: options.hosts },
    flavors: options.flavors ?? (await makeFlavors(access)),
    images: options.images ?? (await makeImages(access)),
  });
  const output = await runStestr(folder, env, options);
  return readResults(output);
}

/** Lines of tests are shown as they come; tracebacks of failures are in stestr's own repository below the folder. */
async function runStestr(
  folder: string,
  env: Readonly<Record<string, string>>,
  { regex, concurrency }: Pick<Options, 'regex' | 'concurrency'>,
): Promise<string> {
  const child = spawnTied([RUNNER, 'run', '--concurrency', String(concurrency), regex], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder, LANG: 'C.UTF-8', PYTHON: '/usr/bin/python3', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  // stestr's own exit code says that a test failed, which is ours to judge.
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}

function report(results: Results, { passes, regex }: Options): number {
  const expected = readExpected(readFileSync(EXPECTED, 'utf8'));
  const { unexpected, mended } = judge(results, expected);
  const { passed, skipped, failed } = results;
  for (const name of failed) if (expected.has(name)) say(`known   ${name} — ${expected.get(name) ?? ''}`);
  for (const name of mended) say(`mended  ${name}: take it off expected-failures.txt`);
  for (const name of unexpected) say(`FAILED  ${name}`);
  if (passed.length < passes) say(`Only ${passed.length} tests of ${regex} passed; ${passes} have to.`);
  say(
    `\nTempest: ${passed.length} passed, ${skipped.length} skipped, ${failed.length} failed (${unexpected.length} not expected)`,
  );
  return unexpected.length > 0 || passed.length < passes ? 1 : 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
