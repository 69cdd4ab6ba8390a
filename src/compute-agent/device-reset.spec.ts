import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BindingProblems } from './binding-problems.js';
import { resetDevice, type ResetOutcome } from './device-reset.js';
import { Journal } from './journal.js';
import { liveKernel, type SysfsWrite } from './kernel.js';

const A = '0000:41:00.0';
const BACK_MS = 300;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-reset-'));
  await mkdir(join(root, 'bus/pci/devices', A), { recursive: true });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const file = (name: string): string => join(root, 'bus/pci/devices', A, name);
const log = (): void => undefined;
const problems = new BindingProblems();

async function reset(write: SysfsWrite = liveKernel(root).write): Promise<ResetOutcome> {
  const journal = await Journal.open(join(root, 'state'), log);
  const host = { sysfsRoot: root, procRoot: join(root, 'proc'), write, journal, log, problems };
  return resetDevice({ ...host, patience: { writeMs: 50, lookMs: 20 } }, { claimId: 'c', address: A }, BACK_MS);
}

const PRESENT = Buffer.from('4d140aa807051000', 'hex');
/** Its ids read as ones: they are its PF's to tell. */
const VF = Buffer.from('ffffffff00001000', 'hex');
const GONE = Buffer.alloc(64, 0xff);

async function device(methods: string | null, config: Buffer | null): Promise<void> {
  await writeFile(file('reset'), '');
  if (methods !== null) await writeFile(file('reset_method'), methods);
  if (config) await writeFile(file('config'), config);
}

describe('a reset', () => {
  it('is one write, and the device answers afterwards', async () => {
    await device('flr bus\n', PRESENT);
    expect(await reset()).toEqual({ kind: 'done' });
    expect(await readFile(file('reset'), 'utf8')).toBe('1');
    expect(await readFile(file('reset_method'), 'utf8')).toBe('flr bus\n');
  });

  it('is none where the kernel has no way, or an administrator took all of them', async () => {
    expect(await reset()).toEqual({ kind: 'none' });
    await device('\n', PRESENT);
    expect(await reset()).toEqual({ kind: 'none' });
    expect(await readFile(file('reset'), 'utf8')).toBe('');
    await device('bus\n', PRESENT);
    const refuse = (): Promise<void> => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTTY' }));
    expect(await reset(refuse)).toEqual({ kind: 'none' });
  });

  it('of kernels without reset_method is done', async () => {
    await device(null, PRESENT);
    expect(await reset()).toEqual({ kind: 'done' });
  });

  it('that the kernel refuses has failed', async () => {
    await device('flr\n', PRESENT);
    const refuse = (): Promise<void> => Promise.reject(Object.assign(new Error('no'), { code: 'EIO' }));
    expect(await reset(refuse)).toEqual({ kind: 'failed', errno: 'EIO', reason: 'its reset failed with EIO' });
  });

  it('of a VF is done, though its ids read as ones', async () => {
    await device('flr\n', VF);
    expect(await reset()).toEqual({ kind: 'done' });
  });

  it('that takes long shows the device as blocked, and ends when the kernel does', async () => {
    await device('flr\n', PRESENT);
    let answer = (): void => undefined;
    const outcome = reset(() => new Promise((resolve) => (answer = resolve)));
    const blocked = { state: 'blocked', step: 'reset', claimId: 'c' };
    await vi.waitFor(() => expect(problems.of(A)).toMatchObject(blocked), 10_000);
    answer();
    expect(await outcome).toEqual({ kind: 'done' });
    expect(problems.of(A)).toBeNull();
  });

  it('after which the card reads as ones has failed; one that takes its time has not', async () => {
    await device('flr\n', GONE);
    expect(await reset()).toMatchObject({ kind: 'failed', errno: null });
    const slow = async (): Promise<void> => {
      setTimeout(() => void writeFile(file('config'), PRESENT), 100);
    };
    expect(await reset(slow)).toEqual({ kind: 'done' });
  });
});
