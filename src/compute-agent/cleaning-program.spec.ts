import { chmod, chown, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refusalOf, runCleaning, type CleaningEnd } from './cleaning-program.js';

const OWN = process.getuid?.() ?? 0;
const SUBJECT = { address: '0000:41:00.0', vendorId: '144d', productId: 'a80a', classCode: '010802', driver: null };
let directory: string;

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'berth-clean-')));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function program(text: string, name = 'clean'): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

async function run(text: string, timeoutMs = 20_000, signal = new AbortController().signal): Promise<CleaningEnd> {
  const path = await program(text);
  return runCleaning({ program: path, subject: SUBJECT, timeoutMs, begun: async () => undefined, signal, owner: OWN });
}

async function isAlive(pidFile: string): Promise<boolean> {
  const pid = Number((await readFile(pidFile, 'utf8')).trim());
  try {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !/\) [ZX] /.test(state);
  } catch {
    return false;
  }
}

describe('a cleaning program', () => {
  it('passes with exit code 0, and is told of the device and of nothing else', async () => {
    process.env['BERTH_SECRET_FOR_TEST'] = 'secret';
    const end = await run(
      `env > ${directory}/env; echo "$#:$1" > ${directory}/args; pwd > ${directory}/pwd; cat > ${directory}/in`,
    );
    delete process.env['BERTH_SECRET_FOR_TEST'];
    expect(end).toEqual({ passed: true });
    expect(await readFile(join(directory, 'args'), 'utf8')).toBe('1:0000:41:00.0\n');
    expect(await readFile(join(directory, 'pwd'), 'utf8')).toBe('/\n');
    expect(await readFile(join(directory, 'in'), 'utf8')).toBe('');
    const env = (await readFile(join(directory, 'env'), 'utf8'))
      .trim()
      .split('\n')
      .filter((line) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(line));
    expect(env.sort()).toEqual([
      ...['BERTH_ADDRESS=0000:41:00.0', 'BERTH_CLASS=010802', 'BERTH_DRIVER=', 'BERTH_PRODUCT_ID=a80a'],
      ...['BERTH_VENDOR_ID=144d', 'LANG=C', 'LC_ALL=C'],
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ]);
  });

  it('fails with any other, in its own last words', async () => {
    expect(await run('echo "namespace 1: busy" >&2; exit 3')).toEqual({
      ...{ passed: false, problem: 'it ended with exit code 3: namespace 1: busy' },
    });
    expect(await run('kill -9 $$')).toEqual({ passed: false, problem: 'it was ended by SIGKILL' });
  });

  it('may say as much as it likes: the end of it is kept', async () => {
    const end = await run(
      'i=0; while [ $i -lt 20000 ]; do echo "line $i of a very long story"; i=$((i+1)); done; exit 1',
    );
    expect(end.passed).toBe(false);
    const { problem } = end as { problem: string };
    expect(problem.length).toBeLessThan(500);
    expect(problem).toMatch(/line 19999 of a very long story$/);
  });

  it('is ended with all that it started when its time is over, also when it does not listen', async () => {
    const begun = Date.now();
    const end = await run(`trap "" TERM; sleep 300 & echo $! > ${directory}/child; wait; sleep 300`, 500);
    expect(end).toEqual({ passed: false, problem: 'it did not end within 0.5 s' });
    expect(Date.now() - begun).toBeLessThan(10_000);
    await vi.waitFor(async () => expect(await isAlive(join(directory, 'child'))).toBe(false), 10_000);
  });

  it('leaves nothing behind when it passes, nor is what it left waited for', async () => {
    expect(await run(`sleep 300 & echo $! > ${directory}/child; exit 0`)).toEqual({ passed: true });
    await vi.waitFor(async () => expect(await isAlive(join(directory, 'child'))).toBe(false), 10_000);
  });

  it('ends with the agent', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    expect(await run('sleep 300', 60_000, stop.signal)).toEqual({ passed: false, problem: 'the agent was stopped' });
  });

  it('that does not start is a failure like any other', async () => {
    const path = await program('exit 0');
    await writeFile(path, '#!/no/such/interpreter\n');
    const end = await runCleaning({
      ...{ program: path, subject: SUBJECT, timeoutMs: 1000, begun: async () => undefined, owner: OWN },
      signal: new AbortController().signal,
    });
    expect(end).toEqual({ passed: false, problem: `${path} does not start: ENOENT` });
  });
});

describe('who may have written a program', () => {
  it('is root alone', async () => {
    const path = await program('exit 0');
    expect(refusalOf(path, OWN)).toBe(null);
    await chmod(path, 0o775);
    expect(refusalOf(path, OWN)).toContain('can be written by others');
    await chmod(path, 0o757);
    expect(refusalOf(path, OWN)).toContain('can be written by others');
    await chmod(path, 0o644);
    expect(refusalOf(path, OWN)).toBe('it is not executable');
  });

  it('counts for the directories on its way, and a link is no way', async () => {
    const open = join(directory, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    const path = await program('exit 0', 'open/clean');
    expect(refusalOf(path, OWN)).toBe(`${open} can be written by others than root`);
    await chmod(open, 0o755);
    expect(refusalOf(path, OWN)).toBe(null);
    await symlink(path, join(directory, 'link'));
    expect(refusalOf(join(directory, 'link'), OWN)).toContain('symbolic link');
    expect(refusalOf(open, OWN)).toBe('it is no file');
    expect(refusalOf(`${directory}/open/../open/clean`, OWN)).toContain('not absolute');
    expect(refusalOf('clean', OWN)).toContain('not absolute');
    expect(refusalOf(join(directory, 'none'), OWN)).toContain('ENOENT');
  });

  it.runIf(OWN === 0)('is not somebody else, and nothing of his is run', async () => {
    const path = await program(`touch ${directory}/was-run`);
    await chown(path, 12_345, 0);
    expect(refusalOf(path)).toContain('can be written by others');
    const end = await runCleaning({
      ...{ program: path, subject: SUBJECT, timeoutMs: 1000, begun: async () => undefined },
      signal: new AbortController().signal,
    });
    expect(end).toMatchObject({ passed: false });
    await expect(readFile(join(directory, 'was-run'))).rejects.toThrow('ENOENT');
  });
});
