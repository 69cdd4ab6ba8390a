import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROGRAM } from '../support/berth-process.js';
import { charmsGuideHost, hostAt, temporaryDirectory } from '../support/hosts.js';

/** Commands that run on a host without a service: of the built program, as its users have it. */
let directory: string;
let trees: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-host-commands-'));
  trees = await temporaryDirectory();
  await writeFile(join(directory, 'gpus.yaml'), 'agent:\n  device_spec: [{ vendor_id: "10de" }]\n');
  await writeFile(join(directory, 'nics.yaml'), 'agent:\n  device_spec: [{ class: "0200" }]\n');
  await writeFile(
    join(directory, 'aliases.yaml'),
    'pci:\n  alias: [{ name: gpu, vendor_id: "10de", product_id: "1bb0", device_type: type-PCI }]\n',
  );
});

afterAll(async () => {
  for (const path of [directory, trees]) await rm(path, { recursive: true, force: true });
});

function berth(
  words: readonly string[],
  node: readonly string[] = [],
): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, PROGRAM, 'host', ...words], {
    ...{ cwd: directory, encoding: 'utf8', timeout: 120_000, env: { PATH: process.env['PATH'] } },
  });
  return { status, out: stdout, err: stderr };
}

function rootsOf({ sysfs, proc }: { sysfs: string; proc: string }): string[] {
  return ['--sysfs-root', sysfs, '--proc-root', proc];
}

describe('berth host check', () => {
  it('ends with 0, 1 or 2, and speaks JSON', async () => {
    const guide = await hostAt(join(trees, 'guide'), charmsGuideHost('guide'));
    const legacy = await hostAt(join(trees, 'legacy'), 'legacy');
    const ready = berth(['check', '-c', 'gpus.yaml', '--json', ...rootsOf(guide)]);
    expect(ready).toMatchObject({ status: 0, err: '' });
    expect(JSON.parse(ready.out)).toMatchObject({ devices: 9, offered: 2, errors: 0 });
    const blocked = berth(['check', '-c', 'nics.yaml', ...rootsOf(legacy)]);
    expect(blocked.status).toBe(1);
    expect(blocked.out).toMatch(/^error {4}protected\.default_route {2}0000:01:00\.0\n/);
    const nowhere = berth(['check', '--sysfs-root', join(directory, 'none')]);
    expect(nowhere).toMatchObject({ status: 2, out: '' });
    expect(nowhere.err).toMatch(/^berth: sysfs\.unreadable: /);
    expect(berth(['check', '-c', 'none.yaml'])).toMatchObject({ status: 2, out: '' });
  });

  it('looks at 4,096 VFs in 64 MiB of heap', async () => {
    const roots = { sysfs: join(trees, 'vfs/sys'), proc: join(trees, 'vfs/proc') };
    writeVfs(roots.sysfs, 4096);
    const config = join(directory, 'vfs.yaml');
    await writeFile(config, 'agent:\n  device_spec: [{ address: "0001:0f:00.0" }]\n');
    const { out, err } = berth(['check', '-c', config, '--json', ...rootsOf(roots)], ['--max-old-space-size=64']);
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ devices: 4097, offered: 4097 });
  });
});

/** A PF and its VFs, in as few files as there can be. */
function writeVfs(sysfs: string, count: number): void {
  const pf = '0001:0f:00.0';
  const put = (address: string, files: Record<string, string>, links: Record<string, string>): void => {
    const place = `devices/pci0001:0f/${address}`;
    mkdirSync(join(sysfs, place), { recursive: true });
    const ids = { vendor: '0x8086', device: '0x154c', class: '0x020000' };
    for (const [name, text] of Object.entries({ ...ids, ...files }))
      writeFileSync(join(sysfs, place, name), `${text}\n`);
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(sysfs, place, name));
    symlinkSync(`../../../${place}`, join(sysfs, 'bus/pci/devices', address));
  };
  mkdirSync(join(sysfs, 'bus/pci/devices'), { recursive: true });
  put(pf, { sriov_totalvfs: String(count), sriov_numvfs: String(count) }, {});
  for (let vf = 0; vf < count; vf++) {
    const [bus, slot] = [0x10 + (vf >> 8), (vf >> 3) & 31].map((part) => part.toString(16).padStart(2, '0'));
    const group = `../../../kernel/iommu_groups/${100 + vf}`;
    put(`0001:${bus}:${slot}.${vf & 7}`, {}, { physfn: `../${pf}`, iommu_group: group });
  }
}

describe('berth host prepare', () => {
  it('writes a folder once, and again only when told', async () => {
    const words = ['prepare', '-c', 'aliases.yaml', '--alias', 'gpu', '--cpu', 'amd', '--output', 'files'];
    const first = berth(words);
    expect(first).toMatchObject({ status: 0, err: '' });
    expect(await readFile(join(directory, 'files/maas/create-tag.sh'), 'utf8')).toContain(
      "kernel_opts='amd_iommu=on iommu=pt vfio-pci.ids=10de:1bb0'",
    );
    expect(berth(words)).toMatchObject({ status: 2, out: '' });
    expect(berth([...words, '--force', '--json'])).toMatchObject({ status: 0, err: '' });
  });

  it('refuses the running system, and an alias that is not there', () => {
    const words = ['prepare', '-c', 'aliases.yaml', '--cpu', 'intel'];
    expect(berth([...words, '--alias', 'gpu', '--output', '/etc'])).toMatchObject({ status: 2, out: '' });
    expect(berth([...words, '--alias', 'x', '--output', 'y']).err).toMatch(/^berth: alias\.unknown: /);
  });
});
