import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_HOSTS } from '../../src/recorded-hosts/demo-fleet.js';
import { quickAssistHost, randomHost, temporaryHost, type HostOnDisk } from '../support/hosts.js';
import { needLspci } from '../support/pciutils.js';
import { run } from '../support/processes.js';

/** The distribution's own reader of sysfs, as a judge of the trees that we write. */
async function lspci(host: HostOnDisk, ...options: readonly string[]): Promise<string> {
  const access = ['-A', 'linux-sysfs', '-O', `sysfs.path=${host.sysfs}/bus/pci`, '-D'];
  return (await run('lspci', [...access, ...options], { maxBuffer: 64 << 20 })).stdout;
}

beforeAll(needLspci, 600_000);

const cleanUps: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
});

async function written(...args: Parameters<typeof temporaryHost>): Promise<HostOnDisk> {
  const [host, cleanUp] = await temporaryHost(...args);
  cleanUps.push(cleanUp);
  return host;
}

describe('lspci', () => {
  const hosts = [...DEMO_HOSTS, quickAssistHost('zun'), ...[1, 2, 3, 4, 5].map(randomHost)];
  it.each(hosts)('lists every device of $name with its ids and class', async (description) => {
    const host = await written(description);
    const lines = (await lspci(host, '-nn')).trim().split('\n');
    expect(lines.map(idsOfLine)).toEqual(await idsOfTree(host));
  });

  it.each(['small', 'full-active', 'accel', 'legacy'])('lists every device of the recorded tree %s', async (name) => {
    const host = await written(name);
    const lines = (await lspci(host, '-nn')).trim().split('\n');
    expect(lines.map(idsOfLine)).toEqual(await idsOfTree(host));
  });

  it('reads capabilities, links and SR-IOV out of a generated config space', async () => {
    const host = await written(DEMO_HOSTS[0] as (typeof DEMO_HOSTS)[0]);
    const nic = await lspci(host, '-vv', '-s', '41:00.0');
    expect(nic).toMatch(/Express \(v2\) Endpoint/);
    expect(nic).toMatch(/LnkSta:\s+Speed 8GT\/s.*Width x8/);
    expect(nic).toMatch(/Single Root I\/O Virtualization/);
    expect(nic).toMatch(/Initial VFs: 64, Total VFs: 64, Number of VFs: 4/);
    expect(nic).toMatch(/VF offset: 16, stride: 1, Device ID: 154c/);
    expect(nic).toMatch(/Kernel driver in use: i40e/);
    // numbers alone: names depend on the pci.ids of the machine
    const port = await lspci(host, '-vvn', '-s', '80:02.0');
    expect(port).toMatch(/Express \(v2\) Root Port/);
    expect(port).toMatch(/Bus: primary=80, secondary=83, subordinate=83/);
    expect(port).toMatch(/Access Control Services/);
    expect(port).toMatch(/Subsystem: 8086:0000/);
    const gpu = await lspci(host, '-vv', '-s', '83:00.0');
    expect(gpu).toMatch(/NUMA node: 1/);
    expect(gpu).toMatch(/Memory at [0-9a-f]+ \(64-bit, prefetchable\).*\[size=256M\]/);
    expect(gpu).toMatch(/IOMMU group: \d+/);
  });

  it('draws the tree of the eight-GPU board: switches below root ports, GPUs below switches', async () => {
    const host = await written(DEMO_HOSTS[2] as (typeof DEMO_HOSTS)[2]);
    const drawn = await lspci(host, '-tn');
    expect(drawn.match(/\[(23|24|2a|2b|a3|a4|aa|ab)\]----00\.0/g)).toHaveLength(8);
    expect(drawn).toMatch(/-\[0000:a0\]-/);
  });
});

/** `0000:83:00.0 VGA compatible controller [0300]: NVIDIA … [10de:1bb0] (rev a1)` */
function idsOfLine(line: string): string {
  const match = /^(\S+) .*?\[([0-9a-f]{4})\]: .*\[([0-9a-f]{4}:[0-9a-f]{4})\]/.exec(line);
  return match ? match.slice(1).join(' ') : `not understood: ${line}`;
}

async function idsOfTree({ sysfs }: HostOnDisk): Promise<string[]> {
  const devices = (await readdir(join(sysfs, 'bus/pci/devices'))).sort();
  return Promise.all(
    devices.map(async (address) => {
      const read = async (name: string): Promise<string> =>
        (await readFile(join(sysfs, 'bus/pci/devices', address, name), 'utf8')).trim().slice(2);
      return `${address} ${(await read('class')).slice(0, 4)} ${await read('vendor')}:${await read('device')}`;
    }),
  );
}
