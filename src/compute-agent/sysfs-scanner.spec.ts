import 'reflect-metadata';
import { mkdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eightGpuHost, sriovNicHost, type HostOnDisk } from '../../test/support/hosts.js';
import { onDisk, scan } from '../../test/support/hosts-of-tests.js';
import { contentHash } from '../messages/content-hash.js';
import { decodeEnvelope, encodeEnvelope, envelope } from '../messages/envelope.js';
import { fromWireDevice, toWireDevice } from '../messages/wire-device.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import { isBridge, type PciDevice } from '../pci/device.js';
import { inGroups } from '../pci/iommu.js';
import { scanHost, type ScanSettings } from './sysfs-scanner.js';

const NO_RESOURCES = { vcpus: null, memoryMb: null, diskGb: null };

function specs(...entries: object[]) {
  return parseDeviceSpecs(entries, 'test', { freeTags: [] });
}

describe('recorded trees', () => {
  type Row = Record<string, string | number | null> & { net: string[] };
  const FIXTURE = new URL('../../test/fixtures/recorded-devices.json', import.meta.url);

  async function recorded(tree: string): Promise<Row[]> {
    const { columns, trees } = JSON.parse(await readFile(FIXTURE, 'utf8')) as {
      columns: string[];
      trees: Record<string, unknown[][]>;
    };
    return (trees[tree] ?? []).map(
      (row) => Object.fromEntries(row.map((value, index) => [columns[index], value])) as Row,
    );
  }

  const hex = (text: unknown): string | null => (typeof text === 'string' ? text.slice(2) : null);
  const known = (value: unknown, unknown: unknown): unknown => (value === unknown ? null : value);

  function expected(row: Row): Partial<PciDevice> {
    const total = row['sriov_totalvfs'] as number | null;
    return {
      address: row['address'] as string,
      vendorId: hex(row['vendor']) as string,
      productId: hex(row['device']) as string,
      classCode: hex(row['class']) as string,
      revision: hex(row['revision']),
      subsystemVendorId: hex(row['subsystem_vendor']),
      subsystemProductId: hex(row['subsystem_device']),
      deviceType: row['physfn'] !== null ? 'type-VF' : total === null ? 'type-PCI' : 'type-PF',
      parentAddress: row['physfn'] as string | null,
      numaNode: known(row['numa_node'], -1) as number | null,
      driver: row['driver'] as string | null,
      iommuGroup: row['iommu_group'] as number | null,
      sriov: total === null ? null : { totalVfs: total, numVfs: row['sriov_numvfs'] as number },
      netdevs: row.net,
      pciePath: (row['path'] as string).split('/').slice(2, -1),
      resetMethods: row['reset_method'] === null ? [] : (row['reset_method'] as string).split(' '),
      link:
        row['max_link_speed'] === null
          ? null
          : {
              currentSpeed: known(row['current_link_speed'], 'Unknown') as string | null,
              maxSpeed: known(row['max_link_speed'], 'Unknown') as string | null,
              currentWidth: known(Number(row['current_link_width']), 255) as number | null,
              maxWidth: known(Number(row['max_link_width']), 255) as number | null,
            },
    };
  }

  const TREES = ['small', 'full', 'full-active', 'accel', 'accel-active', 'legacy', 'noiommu', 'host'];

  it.each(TREES)('%s: every function is as the kernel showed it', async (tree) => {
    const rows = await recorded(tree);
    const { devices, problems } = await scan(await onDisk(tree), { resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } });
    expect(rows.length).toBeGreaterThan(5);
    expect(devices.map((found) => found.address)).toEqual(rows.map((row) => row['address']));
    for (const [index, row] of rows.entries()) {
      const want = expected(row);
      // "Unknown" speed and width on both ends is no link at all
      const link = want.link && Object.values(want.link).some((value) => value !== null) ? want.link : null;
      expect(devices[index]).toMatchObject({ ...want, link });
    }
    expect(problems).toEqual([]);
  });

  it.each([
    ['full', { state: 'on', units: 1 }],
    ['noiommu', { state: 'none', units: 0 }],
    ['host', { state: 'none', units: 0 }],
  ])('%s: tells whether there is an IOMMU', async (tree, iommu) => {
    expect((await scan(await onDisk(tree))).facts.iommu).toEqual(iommu);
  });

  it('tells an IOMMU that is off from none, and takes no group for one that vfio made up', async () => {
    const host = await onDisk('noiommu');
    const nic = '0000:01:00.0';
    const group = join(host.sysfs, 'kernel/iommu_groups/0');
    await mkdir(group, { recursive: true });
    await writeFile(join(group, 'name'), 'vfio-noiommu\n');
    const directory = join(host.sysfs, 'devices/pci0000:00/0000:00:04.0', nic);
    await symlink(group, join(directory, 'iommu_group'));
    await unlink(join(directory, 'driver'));
    await symlink('../../../../bus/pci/drivers/vfio-pci', join(directory, 'driver'));
    const without = await scan(host);
    expect(without.facts.iommu).toEqual({ state: 'none', units: 0 });
    expect(without.devices.find(({ address }) => address === nic)).toMatchObject({
      driver: 'vfio-pci',
      iommuGroup: null,
    });
    await mkdir(join(host.sysfs, 'firmware/acpi/tables'), { recursive: true });
    await writeFile(join(host.sysfs, 'firmware/acpi/tables/DMAR'), 'DMAR');
    expect((await scan(host)).facts.iommu).toEqual({ state: 'off', units: 0 });
  });

  it('tells NUMA cells, memory and kernel', async () => {
    const { facts } = await scan(await onDisk('full'));
    expect(facts).toMatchObject({ vcpus: 2, kernel: '6.1.0-56-amd64', kernel_kind: 'simulated', disk_gb: 0 });
    expect(facts.numa_cells.map(({ id, cpus }) => [id, cpus])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(facts.memory_mb).toBe(facts.numa_cells.reduce((total, cell) => total + cell.memory_mb, 0));
    expect(facts.numa_cells[0]?.memory_mb).toBe(Math.floor(724_264 / 1024));
  });

  it('gives a report that the message room accepts, the same one each time', async () => {
    const host = await onDisk('accel-active');
    const [first, second] = [await scan(host), await scan(host)];
    const content = { facts: first.facts, devices: first.devices.map(toWireDevice) };
    const hash = contentHash(content);
    expect(contentHash({ facts: second.facts, devices: second.devices.map(toWireDevice) })).toBe(hash);
    const message = envelope('agent.report', { host: 'a', epoch: 1, sequence: 1, hash, ...content, pools: [] });
    expect(decodeEnvelope(encodeEnvelope(message, 1e7), 1e7).type).toBe('agent.report');
  });
});

describe('facts of the host', () => {
  it('finds sockets of a generated host, and settings win', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const { facts } = await scan(host);
    expect(facts.numa_cells).toEqual([
      { id: 0, cpus: 64, memory_mb: 524_288, socket: 0 },
      { id: 1, cpus: 64, memory_mb: 524_288, socket: 1 },
    ]);
    expect(facts.vcpus).toBe(128);
    const told = await scan(host, { resources: { vcpus: 12, memoryMb: 34, diskGb: 56 } });
    expect(told.facts).toMatchObject({ vcpus: 12, memory_mb: 34, disk_gb: 56 });
  });

  it('falls back to /proc, and measures the disk of a live host', async () => {
    const host = await onDisk(sriovNicHost('n'));
    await rm(join(host.sysfs, 'devices/system'), { recursive: true });
    await writeFile(join(host.proc, 'cpuinfo'), 'processor\t: 0\nmodel: x\n\nprocessor\t: 1\nmodel: x\n');
    await writeFile(join(host.proc, 'meminfo'), 'MemTotal:        2048000 kB\nMemFree: 1 kB\n');
    const { facts } = await scan(host, { kernel: 'live' });
    expect(facts).toMatchObject({ vcpus: 2, memory_mb: 2000, numa_cells: [], kernel_kind: 'live' });
    expect(facts.disk_gb).toBeGreaterThan(0);
  });

  it('says when the host booted, and of a live one where it is in the network of the broker', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const told = await scan(host, { kernel: 'live', brokerAddress: '::ffff:192.0.2.7' });
    expect(told.facts).toMatchObject({ booted_at: '2025-01-01T00:00:00.000Z', ip_address: '192.0.2.7' });
    expect((await scan(host, { kernel: 'live', brokerAddress: '2001:db8::7' })).facts.ip_address).toBe('2001:db8::7');
    expect((await scan(host, { brokerAddress: '192.0.2.7' })).facts).not.toHaveProperty('ip_address');
    for (const text of ['cpu 1 2 3\n', 'btime soon\n', 'xbtime 5\n']) {
      await writeFile(join(host.proc, 'stat'), text);
      const { facts } = await scan(host, { kernel: 'live' });
      expect(Object.keys(facts)).not.toEqual(expect.arrayContaining(['booted_at']));
      expect(facts).not.toHaveProperty('ip_address');
    }
    await writeFile(join(host.proc, 'stat'), 'cpu 1 2 3\nintr 9 9 9\nbtime 1764547200\nprocesses 7\n');
    expect((await scan(host)).facts.booted_at).toBe('2025-12-01T00:00:00.000Z');
  });

  it('survives a host that tells nothing, and says so', async () => {
    const host = await onDisk('small');
    await rm(join(host.sysfs, 'devices/system'), { recursive: true });
    await rm(host.proc, { recursive: true });
    const { facts, problems } = await scan(host);
    expect(facts).toMatchObject({ vcpus: 0, memory_mb: 0, kernel: null });
    expect(problems.map(({ address }) => address)).toEqual([null, null]);
    expect(problems[0]?.problem).toContain('agent.resources.vcpus');
  });

  it.each([
    ['cpulist', 'zero to nine', { cpus: 0, socket: null }],
    ['cpulist', '5-2', { cpus: 0, socket: null }],
    ['cpulist', '0-999999', { cpus: 0, socket: null }],
    ['meminfo', 'Node 0 MemFree: 1 kB', { memory_mb: 0 }],
    ['meminfo', 'x'.repeat(70_000), { memory_mb: 0 }],
  ])('takes a NUMA node whose %s is garbage (%#)', async (file, text, cell) => {
    const host = await onDisk(eightGpuHost('g'));
    await rm(join(host.sysfs, `devices/system/node/node0/${file}`));
    await writeFile(join(host.sysfs, `devices/system/node/node0/${file}`), text);
    const { facts, problems } = await scan(host);
    expect(facts.numa_cells[0]).toMatchObject({ id: 0, ...cell });
    expect(facts.numa_cells[1]).toMatchObject({ id: 1, cpus: 64 });
    expect(problems.map(({ problem }) => problem).join()).toContain(`node0/${file}`);
  });
});

describe('what is offered', () => {
  it('applies the whitelist and says why not', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const { devices } = await scan(host, { deviceSpecs: specs({ vendor_id: '10de' }) });
    const offered = devices.filter((found) => found.offer !== null);
    expect(offered).toHaveLength(8);
    expect(offered.every((found) => found.notOffered === null && found.offer?.entry === 0)).toBe(true);
    expect(devices.find((found) => found.classCode === '060400')?.notOffered).toContain('bridges');
  });

  it.each(['small', 'full', 'accel', 'legacy'])(
    '%s: keeps the NIC of the default route, unless told exactly',
    async (tree) => {
      const host = await onDisk(tree);
      const everything = { vendor_id: '*' };
      const { devices } = await scan(host, { deviceSpecs: specs(everything) });
      const kept = devices.filter((found) => found.protection);
      const nic = kept.find(({ protection }) => protection?.reasons[0]?.code === 'default_route');
      expect(nic?.netdevs).toEqual(['eth0']);
      expect(nic?.notOffered).toContain(
        `protected (default_route): it carries the default route (eth0 → ${nic?.address});`,
      );
      expect(nic?.notOffered).toContain(`override_protection in a device_spec entry for exactly ${nic?.address}`);
      expect(kept.every(({ offer, iommuGroup }) => offer === null && iommuGroup === nic?.iommuGroup)).toBe(true);
      const override = { address: nic?.address, override_protection: true };
      const again = await scan(host, { deviceSpecs: specs(everything, override) });
      const lifted = again.devices.filter((found) => found.protection);
      expect(lifted.map(({ address }) => address)).toEqual([nic?.address]);
      expect(lifted[0]).toMatchObject({ offer: { entry: 0 }, notOffered: null, protection: { overridden: true } });
    },
  );

  it('keeps what shares an IOMMU group with what the host needs, and says which that is', async () => {
    const host = await onDisk('legacy');
    const all = { deviceSpecs: specs({ vendor_id: '*' }) };
    const { devices } = await scan(host, all);
    const endpoints = devices.filter(({ classCode, netdevs }) => !isBridge({ classCode }) && !netdevs.includes('eth0'));
    const shared = [...inGroups(endpoints).groups.values()].find(({ length }) => length > 1);
    const [one, other] = shared ?? [];
    const path = join(host.sysfs, 'devices', ...(one?.pciePath ?? []), one?.address ?? '');
    const name = one?.netdevs[0] ?? 'eth9';
    await rm(join(host.sysfs, 'class/net', name), { force: true });
    await symlink(join(path, 'net', name), join(host.sysfs, 'class/net', name));
    const line = `${name}\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`;
    await writeFile(join(host.proc, 'net/route'), line);
    const after = await scan(host, all);
    const sibling = after.devices.find(({ address }) => address === other?.address);
    expect(sibling?.notOffered).toContain(
      `protected (iommu_group): it shares IOMMU group ${one?.iommuGroup} with ${one?.address}, which carries the default route`,
    );
    const content = { facts: after.facts, devices: after.devices.map(toWireDevice) };
    const hash = contentHash(content);
    const message = envelope('agent.report', { host: 'a', epoch: 1, sequence: 1, hash, ...content, pools: [] });
    expect(decodeEnvelope(encodeEnvelope(message, 1e7), 1e7).body).toEqual(message.body);
    expect(after.devices.map(toWireDevice).map(fromWireDevice)).toEqual(after.devices);
  });

  it('offers nothing of a host it only looks at, and says so', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const { devices, facts } = await scan(host, { readOnly: true, deviceSpecs: specs({ vendor_id: '10de' }) });
    expect(facts.read_only).toBe(true);
    expect(devices.filter((found) => found.offer !== null)).toEqual([]);
    const gpu = devices.find((found) => found.vendorId === '10de');
    expect(gpu?.notOffered).toBe('this agent only looks: read_only is set');
  });

  it('goes on offering what an entry by driver or devname names, while the agent has it bound', async () => {
    const host = await onDisk('small');
    const nic = '0000:01:00.0';
    await unlink(join(host.sysfs, 'devices/pci0000:00/0000:00:04.0', nic, 'driver'));
    await rm(join(host.sysfs, 'devices/pci0000:00/0000:00:04.0', nic, 'net'), { recursive: true });
    const originals = new Map([[nic, { driver: 'e1000e', netdevs: ['eth1'] }]]);
    for (const entry of [{ devname: 'eth1' }, { driver: 'e1000e', vendor_id: '8086' }]) {
      const settings = { ...settingsOf(host), deviceSpecs: specs(entry) };
      const bound = (await scanHost(settings, originals)).devices.find((found) => found.address === nic);
      expect(bound).toMatchObject({ driver: null, netdevs: [], notOffered: null, original: originals.get(nic) });
      const unknown = (await scanHost(settings)).devices.find((found) => found.address === nic);
      expect(unknown?.offer).toBeNull();
    }
  });

  function settingsOf(host: HostOnDisk): ScanSettings {
    const { sysfs: sysfsRoot, proc: procRoot, directory: stateDir } = host;
    return {
      sysfsRoot,
      procRoot,
      stateDir,
      kernel: 'simulated',
      readOnly: false,
      deviceSpecs: [],
      resources: NO_RESOURCES,
    };
  }
});
