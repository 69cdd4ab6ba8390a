import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BerthError } from '../errors.js';
import {
  LiveConfiguration,
  type ConfigurationState,
  type ConfigurationUser,
  type ReloadOutcome,
} from './live-configuration.js';
import type { Role } from './live-settings.js';
import type { Settings } from './settings.js';

let folder: string;
let file: string;
const ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-live-'));
  file = join(folder, 'berth.yaml');
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await rm(folder, { recursive: true });
});

/** A whitelist of these vendors. */
const offering = (...vendors: string[]): string =>
  `agent:\n  device_spec:\n${vendors.map((vendor) => `    - { vendor_id: '${vendor}' }\n`).join('')}`;

interface Told {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Started {
  readonly configuration: LiveConfiguration;
  readonly log: Told[];
  /** What the user was told to follow, in order. */
  readonly followed: { vendors: (string | null)[]; state: ConfigurationState }[];
}

function start(
  files: readonly string[],
  { role = 'agent', ...user }: ConfigurationUser & { role?: Role } = {},
  lookIntervalMs = 5,
): Started {
  const log: Told[] = [];
  const followed: Started['followed'] = [];
  const configuration = new LiveConfiguration({
    role,
    sources: { files, env: {} },
    check: refuseOddFilters,
    log: (level, message, fields) => log.push({ level, message, fields }),
    lookIntervalMs,
  });
  configuration.start({
    follow: (settings, state) => void followed.push({ vendors: vendorsOf(settings), state }),
    ...user,
  });
  ends.push(() => configuration.stop());
  return { configuration, log, followed };
}

function refuseOddFilters({ scheduler }: Settings): string[] {
  if (!scheduler.filters.includes('Odd')) return [];
  throw new BerthError('settings.invalid', 'scheduler.filters: Odd', {
    details: { problems: ['scheduler.filters: Odd'] },
  });
}

const vendorsOf = (settings: Settings): (string | null)[] => settings.agent.deviceSpecs.map(({ vendorId }) => vendorId);

const offered = (started: Started): (string | null)[] => vendorsOf(started.configuration.settings());

/** Waits for what watching brings about. */
const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 5 });

function expectTaken(outcome: ReloadOutcome): void {
  expect(outcome).toMatchObject({ taken: true, state: { problem: null, problemSince: null } });
}

describe('a file that is watched', () => {
  beforeEach(() => writeFile(file, offering('10de')));

  it('is taken over when it was written anew', async () => {
    const started = start([file]);
    await writeFile(file, offering('10de', '8086'));
    await eventually(() => expect(offered(started)).toEqual(['10de', '8086']));
    await eventually(() =>
      expect(started.followed).toMatchObject([{ vendors: ['10de', '8086'], state: { problem: null } }]),
    );
    expect(started.log).toEqual([
      {
        level: 'info',
        message: 'Configuration read again',
        fields: { cause: 'file', changed: ['agent.device_spec'], device_spec_entries: 2, aliases: 0 },
      },
    ]);
  });

  it('may be replaced by a rename, again and again', async () => {
    const started = start([file]);
    for (const vendor of ['1002', '15b3', '8086']) {
      await writeFile(`${file}.new`, offering(vendor));
      await rename(`${file}.new`, file);
      await eventually(() => expect(offered(started)).toEqual([vendor]));
    }
  });

  it('may be a link in a mounted ConfigMap, whose folder is swapped', async () => {
    const mount = join(folder, 'mount');
    const version = async (name: string, text: string): Promise<void> => {
      await mkdir(join(mount, name), { recursive: true });
      await writeFile(join(mount, name, 'berth.yaml'), text);
      await symlink(name, join(mount, '..data_tmp'));
      await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    };
    await version('..one', offering('10de'));
    await symlink('..data/berth.yaml', join(mount, 'berth.yaml'));
    const started = start([join(mount, 'berth.yaml')]);
    await version('..two', offering('8086'));
    await eventually(() => expect(offered(started)).toEqual(['8086']));
    await rm(join(mount, '..one'), { recursive: true });
    await version('..three', offering('15b3'));
    await eventually(() => expect(offered(started)).toEqual(['15b3']));
  });

  it('is kept in force while it is gone, and taken over when it is back', async () => {
    const started = start([file]);
    await rm(file);
    await eventually(() => expect(started.configuration.state().problem).toContain(`${file}: cannot be read: ENOENT`));
    expect(offered(started)).toEqual(['10de']);
    await writeFile(file, offering('8086'));
    await eventually(() => expect(offered(started)).toEqual(['8086']));
    expect(started.configuration.state()).toMatchObject({ problem: null, problemSince: null });
    expect(started.followed.map(({ vendors }) => vendors)).toEqual([['10de'], ['8086']]);
  });

  it('ends as the last of many quick changes', async () => {
    const started = start([file]);
    for (let round = 0; round < 50; round++) await writeFile(file, offering(round.toString(16).padStart(4, '0')));
    await writeFile(file, offering('ffff'));
    await eventually(() => expect(offered(started)).toEqual(['ffff']));
    await eventually(() => expect(started.followed.at(-1)?.vendors).toEqual(['ffff']));
  });
});

describe('a file that is being written', () => {
  it('is not read before it lies still', async () => {
    await writeFile(file, offering('10de'));
    const { configuration, followed } = start([file], {}, 0);
    const handle = await open(file, 'w');
    await handle.write("agent:\n  device_spec:\n    - { vendor_id: '1002' }\n");
    configuration.look();
    configuration.look();
    await handle.write("    - { vendor_id: '8086' }\n");
    configuration.look();
    configuration.look();
    await configuration.reload('signal').then(() => undefined); // whoever asks gets what is there
    await handle.write("    - { vendor_id: '15b3' }\n");
    await handle.close();
    for (let look = 0; look < 3; look++) configuration.look();
    await configuration.stop();
    expect(followed.map(({ vendors }) => vendors)).toEqual([
      ['1002', '8086'],
      ['1002', '8086', '15b3'],
    ]);
  });

  it('and is empty so far is not taken for a whitelist without entries', async () => {
    await writeFile(file, offering('10de'));
    const started = start([file], {}, 0);
    await writeFile(file, '');
    const outcome = await started.configuration.reload('signal');
    expect(outcome).toMatchObject({
      taken: false,
      state: { problem: expect.stringContaining(`${file}: is empty now`) },
    });
    expect(offered(started)).toEqual(['10de']);
    await writeFile(file, '# nothing is offered\n');
    expectTaken(await started.configuration.reload('signal'));
    expect(offered(started)).toEqual([]);
  });
});

describe('a bad file', () => {
  beforeEach(() => writeFile(file, offering('10de')));

  it('changes nothing; all its problems are told once, with the line', async () => {
    const started = start([file], {}, 0);
    const before = started.configuration.state();
    await writeFile(
      file,
      `log_level: debug\nagent:\n  device_spec:\n    - { vendor: '8086' }\n    - { product_id: 'zz' }\n`,
    );
    const outcome = await started.configuration.reload('signal');
    await started.configuration.reload('rest');
    expect(outcome).toMatchObject({ taken: false, error: { code: 'settings.invalid' } });
    expect(offered(started)).toEqual(['10de']);
    expect(started.configuration.settings().logLevel).toBe('info');
    expect(started.log).toHaveLength(1);
    expect(started.log[0]).toMatchObject({ level: 'error', fields: { cause: 'signal' } });
    const problems = started.log[0]?.fields['problems'] as string[];
    expect(problems).toEqual([expect.stringContaining(`${file}:4: `), expect.stringContaining(`${file}:5: `)]);
    const state = started.configuration.state();
    expect(state).toMatchObject({ loadedAt: before.loadedAt, problem: problems.join('\n'), needsRestart: [] });
    expect(state.problemSince).toBeInstanceOf(Date);
  });

  it('with other problems is told of anew; the first one was the beginning', async () => {
    const started = start([file], {}, 0);
    await writeFile(file, 'agnet: 1\n');
    await started.configuration.reload('signal');
    const { problemSince } = started.configuration.state();
    await writeFile(file, 'agent: 1\n');
    await started.configuration.reload('signal');
    expect(started.log).toHaveLength(2);
    expect(started.configuration.state().problemSince).toBe(problemSince);
    await writeFile(file, offering('8086'));
    expectTaken(await started.configuration.reload('signal'));
    await writeFile(file, 'agent: 1\n');
    await started.configuration.reload('signal');
    expect(started.log.map(({ level }) => level)).toEqual(['error', 'error', 'info', 'error']);
  });

  it('may be bad in what only its role can judge', async () => {
    const started = start([file], {}, 0);
    await writeFile(file, `${offering('8086')}scheduler:\n  filters: [Odd]\n`);
    expect(await started.configuration.reload('signal')).toMatchObject({ taken: false });
    expect(offered(started)).toEqual(['10de']);
  });

  it('ends the process when it is there at the start', async () => {
    await writeFile(file, 'agnet: 1\n');
    expect(() => start([file])).toThrow(`${file}:1: agnet: unknown key`);
  });
});

describe('what cannot change in a running process', () => {
  it('is named and left as it is; what is live is taken over all the same', async () => {
    await writeFile(file, offering('10de'));
    const { configuration, log } = start([file], {}, 0);
    const changed = `${offering('8086')}  scan_interval_ms: 5000\nhttp:\n  port: 1\n`;
    await writeFile(file, changed);
    await configuration.reload('signal');
    await configuration.reload('signal');
    expect(configuration.state()).toMatchObject({
      problem: null,
      needsRestart: ['http.port', 'agent.scan_interval_ms'],
    });
    const { agent, http } = configuration.settings();
    expect([agent.deviceSpecs.length, agent.scanIntervalMs, http.port]).toEqual([1, 60_000, 8790]);
    expect(vendorsOf(configuration.settings())).toEqual(['8086']);
    expect(log.filter(({ level }) => level === 'warn')[0]?.fields).toEqual({
      settings: ['http.port', 'agent.scan_interval_ms'],
    });
    await writeFile(file, offering('8086'));
    await configuration.reload('signal');
    expect(configuration.state().needsRestart).toEqual([]);
  });
});

it('a whitelist that is to be read by other rules waits with them for a restart', async () => {
  await writeFile(file, offering('10de'));
  const { configuration } = start([file], {}, 0);
  await writeFile(file, `compat: nova\n${offering('8086')}`);
  const problem = 'compat: a change needs a restart; nothing is taken over';
  expect(await configuration.reload('signal')).toMatchObject({ taken: false, state: { problem } });
  expect(vendorsOf(configuration.settings())).toEqual(['10de']);
});

describe('taking over', () => {
  const aliased = (...names: string[]): string =>
    `aliases:\n${names.map((name) => `  - { name: ${name}, vendor_id: '10de', device_type: type-PCI }\n`).join('')}`;

  it('that fails leaves everything as it was, and is tried again', async () => {
    await writeFile(file, aliased('a'));
    let works = false;
    const taken: string[][] = [];
    const { configuration, log } = start(
      [file],
      {
        role: 'api',
        take: async (aliases) => {
          if (!works) throw new Error('the database cannot be reached');
          taken.push(aliases.map(({ name }) => name));
          return { added: ['b'], changed: [], removed: [], behind: [] };
        },
      },
      0,
    );
    await writeFile(file, `${aliased('a', 'b')}log_level: debug\n`);
    expect(await configuration.reload('rest')).toMatchObject({ taken: false, error: { message: expect.anything() } });
    expect(configuration.settings()).toMatchObject({ aliases: [{ name: 'a' }], logLevel: 'info' });
    expect(configuration.state().problem).toBe('the database cannot be reached');
    works = true;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    try {
      configuration.look();
    } finally {
      vi.useRealTimers();
    }
    await configuration.stop();
    expect(taken).toEqual([['a', 'b']]);
    expect(configuration.settings()).toMatchObject({ aliases: [{ name: 'a' }, { name: 'b' }], logLevel: 'debug' });
    expect(configuration.state().problem).toBeNull();
    expect(log.map(({ level }) => level)).toEqual(['error', 'info']);
  });

  it('waits until there is somebody, and happens one at a time', async () => {
    await writeFile(file, aliased('a'));
    const configuration = new LiveConfiguration({
      role: 'api',
      sources: { files: [file], env: {} },
      check: () => [],
      log: () => undefined,
      lookIntervalMs: 0,
    });
    const early = configuration.reload('signal');
    let inside = 0;
    let most = 0;
    configuration.start({
      take: async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        return { added: [], changed: ['a'], removed: [], behind: [] };
      },
    });
    const outcomes = await Promise.all([early, configuration.reload('rest'), configuration.reload('file')]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ taken: true, aliases: { changed: ['a'] } });
    expect(most).toBe(1);
  });
});
