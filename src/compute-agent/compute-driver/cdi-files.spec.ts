import 'reflect-metadata';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  binderWorld,
  driver,
  dying,
  failure,
  order,
  SERVER,
  type BinderWorld,
} from '../../../test/support/binder-world.js';
import { charmsGuideHost } from '../../../test/support/hosts.js';
import type { CdiSpec } from '../../pci/container/cdi-spec.js';
import type { SysfsWrite } from '../kernel.js';
import { prepareDevices, releaseDevices, resumeReleases, type BinderHost } from '../vfio-binder.js';
import { openCdiFiles } from './cdi-files.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const SECOND = '22222222-2222-4222-8222-222222222222';
const STRANGER = '99999999-9999-4999-8999-999999999999';
const [FIRST_CARD, SECOND_CARD] = ['0000:83:00.0', '0000:84:00.0'];
const FILE = `berth-${SERVER}.json`;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

interface CdiWorld extends BinderWorld {
  readonly cdiDir: string;
  /** The agent's next life, which looks after the files first. */
  readonly live: (wrap?: (write: SysfsWrite) => SysfsWrite) => Promise<BinderHost>;
}

async function world(): Promise<CdiWorld> {
  const base = await binderWorld(charmsGuideHost('h'), ends);
  const cdiDir = join(base.disk.directory, 'run/cdi');
  const settings = { computeDriver: 'cdi', cdiDir, readOnly: false } as const;
  const live = async (wrap?: (write: SysfsWrite) => SysfsWrite): Promise<BinderHost> => {
    const host = await base.agent(wrap);
    const guests = await openCdiFiles(settings as Parameters<typeof openCdiFiles>[0], host);
    return { ...host, ...(guests && { guests }) };
  };
  return { ...base, cdiDir, live };
}

const names = async ({ cdiDir }: CdiWorld): Promise<string[]> => (await readdir(cdiDir)).toSorted();
const read = async ({ cdiDir }: CdiWorld, name = FILE): Promise<CdiSpec> =>
  JSON.parse(await readFile(join(cdiDir, name), 'utf8')) as CdiSpec;
const devicesIn = async (w: CdiWorld): Promise<string[]> => (await read(w)).devices.map(({ name }) => name);

describe('the CDI file of a server', () => {
  it('is there for all to read when its devices are bound, and gone when they are given back', async () => {
    const w = await world();
    const agent = await w.live();
    const bindings = await prepareDevices(agent, order(w, [FIRST_CARD, SECOND_CARD]));
    expect(await names(w)).toEqual([FILE]);
    expect((await stat(join(w.cdiDir, FILE))).mode & 0o777).toBe(0o644);
    const groups = bindings.map(({ iommu_group }) => `/dev/vfio/${iommu_group}`);
    const [whole] = (await read(w)).devices;
    expect(whole?.name).toBe(SERVER);
    expect(whole?.containerEdits.deviceNodes?.map(({ path }) => path)).toEqual(['/dev/vfio/vfio', ...groups]);
    await releaseDevices(agent, CLAIM);
    expect(await names(w)).toEqual([]);
  });

  it('has the devices of all claims of the server, as they come and go', async () => {
    const w = await world();
    const agent = await w.live();
    await prepareDevices(agent, order(w, [FIRST_CARD]));
    await prepareDevices(agent, order(w, [SECOND_CARD], SECOND));
    expect(await devicesIn(w)).toEqual([SERVER, FIRST_CARD, SECOND_CARD]);
    await releaseDevices(agent, CLAIM);
    expect(await devicesIn(w)).toEqual([SERVER, SECOND_CARD]);
    await releaseDevices(agent, SECOND);
    expect(await names(w)).toEqual([]);
  });

  it('is without a device before that leaves vfio, and does not have it before it is there', async () => {
    const w = await world();
    const seen: [string, string | null, readonly string[]][] = [];
    const watch =
      (write: SysfsWrite): SysfsWrite =>
      async (path, value) => {
        await write(path, value);
        seen.push([path, driver(w, FIRST_CARD), await readdir(w.cdiDir)]);
      };
    const agent = await w.live(watch);
    await prepareDevices(agent, order(w, [FIRST_CARD]));
    await releaseDevices(agent, CLAIM);
    expect(seen.length).toBeGreaterThan(3);
    for (const [path, , files] of seen) expect(files, path).toEqual([]);
  });

  it('is written again by the next life, where a boot has taken it', async () => {
    const w = await world();
    await prepareDevices(await w.live(), order(w, [FIRST_CARD]));
    const before = await read(w);
    await rm(w.cdiDir, { recursive: true });
    await w.live();
    expect(await read(w)).toEqual(before);
  });

  it('has no device that is not bound after a boot, until it is', async () => {
    const w = await world();
    const first = await w.live();
    await prepareDevices(first, order(w, [FIRST_CARD]));
    await prepareDevices(first, order(w, [SECOND_CARD], SECOND));
    await first.write(`bus/pci/devices/${FIRST_CARD}/driver/unbind`, FIRST_CARD);
    const next = await w.live();
    expect(await devicesIn(w)).toEqual([SERVER, SECOND_CARD]);
    await prepareDevices(next, order(w, [FIRST_CARD]));
    expect(await devicesIn(w)).toEqual([SERVER, FIRST_CARD, SECOND_CARD]);
  });

  it('goes with its claim when the agent dies in the release', async () => {
    for (const at of [0, 1, 2]) {
      const w = await world();
      await prepareDevices(await w.live(), order(w, [FIRST_CARD]));
      const { wrap, death } = dying(at, 'after');
      void releaseDevices(await w.live(wrap), CLAIM);
      await death;
      const next = await w.live();
      expect(await names(w)).toEqual([]);
      await resumeReleases(next);
      expect(next.journal.claims()).toEqual([]);
      expect(await names(w)).toEqual([]);
    }
  });
});

describe('files of others and of nobody', () => {
  it('stay, and go', async () => {
    const w = await world();
    await mkdir(w.cdiDir, { recursive: true });
    const put = (name: string, text: string): Promise<void> => writeFile(join(w.cdiDir, name), text);
    const ours = JSON.stringify({ cdiVersion: '0.5.0', kind: 'berth.dev/pci', devices: [] });
    await put(`berth-${STRANGER}.json`, ours);
    await put(`berth-${SERVER}.json.new`, '{"cdiVersion":');
    const others = [
      ['nvidia.json', ours],
      ['berth-notes.json', ours],
      [`berth-${STRANGER}.yaml`, ours],
      [`berth-${CLAIM}.json`, '{"kind": "vendor.com/class"}'],
      [`berth-${SECOND}.json`, 'not json'],
    ] as const;
    for (const [name, text] of others) await put(name, text);
    await w.live();
    expect(await names(w)).toEqual(others.map(([name]) => name).toSorted());
  });
});

describe('a directory that cannot be written to', () => {
  it('is told with a remedy before a device is touched', async () => {
    const w = await world();
    const before = driver(w, FIRST_CARD);
    await writeFile(join(w.disk.directory, 'run'), 'a file');
    const agent = await w.live();
    const error = await failure(prepareDevices(agent, order(w, [FIRST_CARD])));
    expect(error).toMatchObject({ code: 'cdi.failed', step: 'cdi_file', errno: 'ENOTDIR' });
    expect(error.message).toContain('agent.cdi_dir');
    expect(driver(w, FIRST_CARD)).toBe(before);
    expect(agent.journal.claims()).toEqual([]);
  });

  it('has the devices given back when that shows only when they are bound', async () => {
    const w = await world();
    const before = driver(w, FIRST_CARD);
    await mkdir(join(w.cdiDir, `${FILE}.new`), { recursive: true });
    const agent = await w.live();
    const error = await failure(prepareDevices(agent, order(w, [FIRST_CARD])));
    expect(error).toMatchObject({ code: 'cdi.failed', step: 'cdi_file', errno: 'EISDIR' });
    expect(driver(w, FIRST_CARD)).toBe(before);
    expect(agent.journal.claims()).toEqual([]);
    expect(await names(w)).toEqual([`${FILE}.new`]);
  });

  it('keeps the devices where they are while their file cannot go', async () => {
    const w = await world();
    const agent = await w.live();
    await prepareDevices(agent, order(w, [FIRST_CARD]));
    // A directory in its place cannot be unlinked, by root either.
    await rm(join(w.cdiDir, FILE));
    await mkdir(join(w.cdiDir, FILE));
    const error = await failure(releaseDevices(agent, CLAIM));
    expect(error).toMatchObject({ code: 'cdi.failed', step: 'cdi_file' });
    expect(driver(w, FIRST_CARD)).toBe('vfio-pci');
    expect(agent.problems.of(FIRST_CARD)).toMatchObject({ state: 'refused', step: 'cdi_file', claimId: CLAIM });
    await rm(join(w.cdiDir, FILE), { recursive: true });
    await releaseDevices(agent, CLAIM);
    expect(agent.problems.of(FIRST_CARD)).toBeNull();
    expect(agent.journal.claims()).toEqual([]);
  });
});
