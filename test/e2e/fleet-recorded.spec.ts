import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PROGRAM } from '../support/berth-process.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { run } from '../support/processes.js';

/** What was read of each function when the trees were recorded, by other code than Berth's. */
const RECORDED = (
  JSON.parse(readFileSync(new URL('../fixtures/recorded-devices.json', import.meta.url), 'utf8')) as {
    trees: Record<string, [string, string, string, string, ...unknown[]][]>;
  }
).trees;

const ACCELERATORS = 'device_spec = {"vendor_id": "1234", "product_id": "11e8"}';
/** The whitelist of each tree's host, and the addresses that it has to offer. */
const TREES: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  full: [
    `device_spec = [{"address": "0000:67:01.0"}, {"address": "0000:21:00.0"}]\n${ACCELERATORS}`,
    ['0000:00:03.0', '0000:21:00.0', '0000:67:01.0', '0000:68:00.0'],
  ],
  accel: [ACCELERATORS, ['21', '22', '23', '24', '81', '82', '83', '84'].map((bus) => `0000:${bus}:00.0`)],
  legacy: ['device_spec = {"address": "0000:06:02.0"}', ['0000:06:02.0']],
  // the NIC carries the host's default route
  small: [`device_spec = {"address": "0000:00:02.0"}\n${ACCELERATORS}`, ['0000:00:03.0']],
  noiommu: [ACCELERATORS, ['0000:00:03.0']],
  host: ['device_spec = {"address": ":00:05.0"}', ['0000:00:05.0']],
};

const ALIASES = `[pci]
alias = {"vendor_id": "1234", "product_id": "11e8", "device_type": "type-PCI", "name": "accel"}
alias = {"vendor_id": "8086", "product_id": "100e", "device_type": "type-PCI", "name": "old-nic"}
alias = {"vendor_id": "8086", "product_id": "10d3", "device_type": "type-PCI", "name": "nic"}
alias = {"vendor_id": "1af4", "product_id": "1044", "device_type": "type-PCI", "name": "rng"}
alias = {"vendor_id": "1af4", "product_id": "1000", "device_type": "type-PCI", "name": "uplink"}
`;

describe('recorded hosts, one agent each, in separate processes', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: Object.entries(TREES).map(([name, [specs]]) => {
        return { name, tree: name, config: { 'nova.conf': `[pci]\n${specs}\n` } };
      }),
      apiConfig: { 'nova.conf': ALIASES },
    });
  });
  afterAll(() => fleet?.close());

  it('are listed with what their trees have', async () => {
    const { hosts } = await fleet.rest.get<{ hosts: Record<string, unknown>[] }>('/v1/hosts');
    const expected = Object.entries(TREES).map(([name, [, offered]]) => ({
      name,
      status: 'up',
      simulated: true,
      kernel_kind: 'simulated',
      devices: { reported: RECORDED[name]?.length, offered: offered.length, available: offered.length },
    }));
    expect(hosts).toMatchObject(expected.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  });

  it.each(Object.entries(TREES))('%s: every function as it was recorded', async (name, [, offered]) => {
    const devices = await fleet.rest.devices(`host=${name}`);
    expect(
      devices.map((device) => [
        device.address,
        device.vendor_id,
        device.product_id,
        device.numa_node,
        device.driver,
        device.iommu_group,
      ]),
    ).toEqual(
      RECORDED[name]?.map(([address, vendor, product, , , , , numa, driver, group]) => {
        return [address, vendor.slice(2), product.slice(2), numa === -1 ? null : numa, driver, group];
      }),
    );
    expect(devices.filter((device) => device.offered).map((device) => device.address)).toEqual(offered);
  });

  it('are refused a device whose IOMMU group is not viable, with what blocks it', async () => {
    const server = await fleet.rest.place({ name: 'old', devices: 'old-nic:1' });
    expect(server).toMatchObject({ status: 'ERROR', fault: { code: 'placement.no_valid_host' } });
    expect(reasonsOf(server.fault?.details.rejections, 'full')).toEqual([
      "1 device of alias old-nic, not safe to hand over: IOMMU group 16 also holds 0000:66:00.0, which the host's " +
        'driver shpchp uses; unbind it from shpchp',
    ]);
    const nine = await fleet.rest.dryRun({ devices: 'accel:9' });
    expect(reasonsOf(nine.rejections, 'legacy')).toEqual([
      "1 device of alias accel, not safe to hand over: IOMMU group 4 also holds 0000:05:02.0, which the host's driver " +
        'e1000 uses; offer it as well, or unbind it from e1000',
    ]);
    expect(reasonsOf(nine.rejections, 'accel')).toEqual(['8 devices of alias accel, 9 wanted']);
  });

  it('are refused devices without an IOMMU, with the remedy', async () => {
    const remedy =
      'this host has no IOMMU, or has it off; turn it on (intel_iommu=on or amd_iommu=on, and in the firmware)';
    const accelerators = await fleet.rest.dryRun({ devices: 'accel:9' });
    expect(reasonsOf(accelerators.rejections, 'noiommu')).toEqual([
      `1 device of alias accel, not safe to hand over: ${remedy}`,
    ]);
    const server = await fleet.rest.place({ name: 'random', devices: 'rng:1' });
    expect(server.status).toBe('ERROR');
    expect(reasonsOf(server.fault?.details.rejections, 'host')).toEqual([
      `1 device of alias rng, not safe to hand over: ${remedy}`,
    ]);
  });

  it('are refused a device that its host itself needs, with why and the remedy; a project is told the cause', async () => {
    const server = await fleet.rest.place({ name: 'uplink', devices: 'uplink:1' });
    const cause = 'no device of alias uplink: 1 of the kind is needed by the host itself (default_route)';
    expect(server).toMatchObject({
      status: 'ERROR',
      fault: {
        code: 'placement.no_valid_host',
        message: expect.stringContaining(`${cause} (PciPassthroughFilter, host small)`),
      },
    });
    const [message] = reasonsOf(server.fault?.details.rejections, 'small');
    expect(message).toMatch(
      /: 0000:00:02\.0 is protected \(default_route\): it carries the default route \(eth0 → 0000:00:02\.0\)/,
    );
    expect(message).toContain('; move the default route to another interface, or take the risk');
    const asProject = await fleet.rest.get(`/v1/servers/${server.id}/explanation?view=project&changes=false`);
    expect(JSON.stringify(asProject)).toContain(cause);
    expect(JSON.stringify(asProject)).not.toMatch(/0000:00:02|eth0|small/);
    const words = ['explain', server.id, '--no-changes', '--url', fleet.api.url];
    const told = run(process.execPath, [PROGRAM, ...words]);
    await expect(told).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('move the default route to') });
  });

  it('give what is safe, take it back, and look as before', async () => {
    const before = fleet.agents.map((agent) => agent.devices());
    const eight = await fleet.rest.place({ name: 'eight', devices: 'accel:8' });
    expect(eight).toMatchObject({ status: 'ACTIVE', host: 'accel', simulated: true });
    expect(fleet.agent('accel').bound()).toEqual(TREES['accel']?.[1]);
    const nic = await fleet.rest.place({ name: 'nic', devices: 'nic:1' });
    expect(nic).toMatchObject({
      status: 'ACTIVE',
      host: 'full',
      devices: [{ address: '0000:21:00.0', vfio: '/dev/vfio/23' }],
    });
    expect(fleet.agent('full').devices()['0000:21:00.0']).toEqual({ driver: 'vfio-pci', override: 'vfio-pci' });
    await fleet.rest.remove(eight.id);
    await fleet.rest.remove(nic.id);
    expect(fleet.agents.map((agent) => agent.devices())).toEqual(before);
    expect(before[0]?.['0000:21:00.0']?.driver).toBe('e1000e');
  });
});

function reasonsOf(
  rejections: readonly {
    readonly hosts: readonly string[];
    readonly reasons: readonly { readonly message: string }[];
  }[] = [],
  host: string,
): string[] {
  return rejections
    .filter(({ hosts }) => hosts.includes(host))
    .flatMap(({ reasons }) => reasons.map((reason) => reason.message));
}
