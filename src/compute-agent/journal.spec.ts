import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceRecord } from './journal-state.js';
import { Journal } from './journal.js';

const DEVICE: DeviceRecord = {
  address: '0000:83:00.0',
  vendorId: '10de',
  productId: '1bb0',
  originalDriver: 'nvidia',
  originalNetdevs: [],
  originalOverride: null,
};

let dir: string;
let logged: string[];
const open = (): Promise<Journal> =>
  Journal.open(join(dir, 'state'), (level, message) => logged.push(`${level}: ${message}`));

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'berth-journal-'));
  logged = [];
});

afterEach(() => rm(dir, { recursive: true }));

describe('the epoch', () => {
  it('is the clock, and never goes back with it', async () => {
    expect(await (await open()).nextEpoch(1000)).toBe(1000);
    expect(await (await open()).nextEpoch(1000)).toBe(1001);
    expect(await (await open()).nextEpoch(500)).toBe(1002);
    expect(await (await open()).nextEpoch(5000)).toBe(5000);
  });
});

describe('claims', () => {
  it('are on disk before the call returns', async () => {
    const journal = await open();
    await journal.begin({ claimId: 'c1', serverId: 's1', devices: [DEVICE] });
    expect((await open()).claim('c1')).toEqual({
      claimId: 'c1',
      serverId: 's1',
      state: 'preparing',
      devices: [DEVICE],
    });
    await journal.finish('c1');
    expect((await open()).claim('c1')?.state).toBe('prepared');
    expect((await open()).holderOf(DEVICE.address)?.claimId).toBe('c1');
    await journal.beginRelease('c1');
    expect((await open()).claim('c1')?.state).toBe('releasing');
    expect((await open()).isReleased('c1')).toBe(true);
    await journal.endRelease('c1');
    expect((await open()).claims()).toEqual([]);
    expect((await open()).isReleased('c1')).toBe(true);
    expect(await readdir(join(dir, 'state'))).toEqual(['journal.json']);
  });

  it('know how each device was bound, and what they wait for', async () => {
    const journal = await open();
    const variant = { ...DEVICE, originalModule: 'nvidia_drm', vfioDriver: 'nvgrace_gpu_vfio_pci' };
    const foreign = { ...DEVICE, address: '0000:84:00.0', managed: false };
    const blocked = { address: DEVICE.address, step: 'unbind', since: 1_700_000_000_000 };
    await journal.begin({ claimId: 'c1', serverId: 's1', devices: [variant, foreign] });
    await journal.noteBlocked('c1', blocked);
    expect((await open()).claim('c1')).toMatchObject({ devices: [variant, foreign], blocked });
    await journal.noteBlocked('c1', null);
    expect((await open()).claim('c1')).not.toHaveProperty('blocked');
    await journal.noteBlocked('c2', blocked);
    expect((await open()).claims()).toHaveLength(1);
  });

  it('can be split once: the part is a claim of its own, and the rest goes on', async () => {
    const other = { ...DEVICE, address: '0000:84:00.0' };
    const journal = await open();
    await journal.begin({ claimId: 'c1', serverId: 's1', devices: [DEVICE, other] });
    await journal.finish('c1');
    await journal.split('c1', 'c2', [other.address]);
    const expected = [
      { claimId: 'c1', serverId: 's1', state: 'prepared', devices: [DEVICE] },
      { claimId: 'c2', serverId: 's1', state: 'prepared', devices: [other] },
    ];
    expect((await open()).claims()).toEqual(expected);
    await journal.split('c1', 'c2', [DEVICE.address]);
    await journal.split('unknown', 'c3', [DEVICE.address]);
    expect((await open()).claims()).toEqual(expected);
    await journal.beginRelease('c2');
    await journal.endRelease('c2');
    await journal.split('c1', 'c2', [DEVICE.address]);
    expect((await open()).claims()).toEqual(expected.slice(0, 1));
    await journal.split('c1', 'c4', [DEVICE.address]);
    expect((await open()).claims().map(({ claimId }) => claimId)).toEqual(['c4']);
  });

  it('keep how many VFs a PF had, from the first time', async () => {
    const journal = await open();
    const other = { ...DEVICE, address: '0000:84:00.0' };
    await journal.noteVfs('c1', DEVICE.address, 4);
    expect(journal.claims()).toEqual([]);
    await journal.begin({ claimId: 'c1', serverId: 's1', devices: [DEVICE, other] });
    await journal.noteVfs('c1', DEVICE.address, 4);
    await journal.noteVfs('c1', DEVICE.address, 2);
    const again = (await open()).claim('c1');
    expect(again).toMatchObject({ state: 'preparing', devices: [{ ...DEVICE, originalVfs: 4 }, other] });
    expect(again?.devices[1]).toEqual(other);
  });

  it('that are written at once are all there', async () => {
    const journal = await open();
    const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
    await Promise.all(ids.map((claimId) => journal.begin({ claimId, serverId: 's', devices: [] })));
    expect((await open()).claims().map((claim) => claim.claimId)).toEqual(ids);
  });

  it('that were released are remembered, the last 10,000', async () => {
    const released = Array.from({ length: 10_000 }, (_, index) => `old-${index}`);
    await open();
    await writeState({ version: 1, epoch: 1, claims: [], released });
    const journal = await open();
    await journal.beginRelease('new');
    await journal.beginRelease('new');
    expect([journal.isReleased('new'), journal.isReleased('old-1'), journal.isReleased('old-0')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('that cannot be written are not known either, and later ones can be', async () => {
    const journal = await open();
    await rm(join(dir, 'state'), { recursive: true });
    await expect(journal.begin({ claimId: 'c1', serverId: 's1', devices: [] })).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(journal.claim('c1')).toBeNull();
    await open();
    await journal.begin({ claimId: 'c2', serverId: 's1', devices: [] });
    expect((await open()).claims().map((claim) => claim.claimId)).toEqual(['c2']);
  });
});

describe('a file that is no journal', () => {
  const claim = { claimId: 'c', serverId: 's', state: 'prepared', devices: [DEVICE] };
  const whole = { version: 1, epoch: 1, claims: [claim], released: [] };

  it.each([
    ['half of one', JSON.stringify(whole).slice(0, 60)],
    ['empty', ''],
    ['a list', '[]'],
    ['of another version', JSON.stringify({ ...whole, version: 2 })],
    ['without an epoch', JSON.stringify({ ...whole, epoch: 'now' })],
    ['with a state of its own', JSON.stringify({ ...whole, claims: [{ ...claim, state: 'lost' }] })],
    [
      'with a path for an address',
      JSON.stringify({ ...whole, claims: [{ ...claim, devices: [{ ...DEVICE, address: '../../x' }] }] }),
    ],
    ...[0, -1, 1.5, '4', null, 65_536].map((originalVfs) => [
      `with ${JSON.stringify(originalVfs)} VFs`,
      JSON.stringify({ ...whole, claims: [{ ...claim, devices: [{ ...DEVICE, originalVfs }] }] }),
    ]),
    ...[{ managed: 'no' }, { vfioDriver: 7 }, { originalModule: null }].map((wrong) => [
      `with ${JSON.stringify(wrong)}`,
      JSON.stringify({ ...whole, claims: [{ ...claim, devices: [{ ...DEVICE, ...wrong }] }] }),
    ]),
    [
      'that waits for no device',
      JSON.stringify({ ...whole, claims: [{ ...claim, blocked: { address: '../x', step: 'unbind', since: 1 } }] }),
    ],
    ['with numbers for ids', JSON.stringify({ ...whole, released: [1] })],
  ])('(%s) is set aside, loudly, and kept', async (_name, text) => {
    await open();
    await writeState(text);
    const journal = await open();
    expect(journal.claims()).toEqual([]);
    expect(logged).toEqual([expect.stringMatching(/^error: The journal was not usable and is set aside/) as string]);
    const [aside] = (await readdir(join(dir, 'state'))).filter((name) => name.startsWith('journal.json.corrupt-'));
    expect(await readFile(join(dir, 'state', aside as string), 'utf8')).toBe(text);
    await journal.nextEpoch(7);
    expect(await (await open()).nextEpoch(7)).toBe(8);
  });
});

async function writeState(state: unknown): Promise<void> {
  const text = typeof state === 'string' ? state : JSON.stringify(state);
  await writeFile(join(dir, 'state/journal.json'), text);
}
