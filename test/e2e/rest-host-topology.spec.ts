import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { scanHost } from '../../src/compute-agent/sysfs-scanner.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { toWireDevice } from '../../src/messages/wire-device.js';
import { parseDeviceSpecs } from '../../src/pci/device-spec/device-spec-reader.js';
import { berth, type Ended } from '../support/cli.js';
import { eightGpuHost, temporaryHost } from '../support/hosts.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const [GPU, NEIGHBOUR, ON_NODE, ELSEWHERE] = ['0000:23:00.0', '0000:24:00.0', '0000:2a:00.0', '0000:a3:00.0'] as const;
const [NIC, VF] = ['0000:25:00.0', '0000:25:00.2'];

/** What the agent of the board reports: its GPUs and its NICs are offered. */
async function board(): Promise<WireDevice[]> {
  const [host, remove] = await temporaryHost(eightGpuHost('gpus'));
  try {
    const { devices } = await scanHost({
      ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel: 'simulated' },
      ...{ readOnly: false, resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
      deviceSpecs: parseDeviceSpecs([{ vendor_id: '10de' }, { vendor_id: '15b3' }], 'test', { freeTags: [] }),
    });
    return devices.map(toWireDevice);
  } finally {
    await remove();
  }
}

interface Topology {
  readonly devices: readonly { readonly address: string }[];
  readonly distances: readonly (readonly string[])[];
  readonly left_out: number;
}

describe('the topology of a host over REST', () => {
  let api: RestApi;
  let deviceIds: Map<string, string>;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    const devices = await board();
    const inserted = await insertHost(api, { name: 'gpus', devices });
    deviceIds = new Map(devices.map(({ address }, at) => [address, inserted.deviceIds[at] ?? '']));
    const many = Array.from({ length: 70 }, (_, at) => `0000:${(at + 16).toString(16)}:00.0`);
    // an agent that knows nothing of ACS
    const old = many.map((address) => wireDevice({ address, pcie_path: ['pci0000:00', `port of ${address}`] }));
    await insertHost(api, { name: 'wide', devices: old });
    const { body } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 1 }).expect(202);
    const claim = { serverId: body.id as string, hostId: inserted.id, active: true };
    await insertAllocations(api, { ...claim, devices: [{ id: deviceIds.get(GPU) ?? '', alias: null }] });
  });
  afterAll(() => api?.close());

  const ask = async (query = '', host = 'gpus'): Promise<Topology> =>
    (await api.http.get(`/v1/hosts/${host}/topology${query}`).expect(200)).body as Topology;
  const between = (topology: Topology, a: string, b: string): string | undefined => {
    const [row, column] = [a, b].map((address) => topology.devices.findIndex((device) => device.address === address));
    return topology.distances[row ?? -1]?.[column ?? -1];
  };

  it('is a matrix of the offered devices, in use or free', async () => {
    const topology = await ask();
    const addresses = topology.devices.map(({ address }) => address);
    expect(addresses).toHaveLength(18);
    expect(addresses).toEqual([...addresses].sort());
    expect(topology).toMatchObject({ host: 'gpus', generation: 1, left_out: 0 });
    expect(between(topology, GPU, GPU)).toBe('SELF');
    expect(between(topology, GPU, NEIGHBOUR)).toBe('PIX');
    expect(between(topology, VF, GPU)).toBe('PIX');
    expect(between(topology, VF, NIC)).toBe('PIX');
    expect(between(topology, GPU, ON_NODE)).toBe('PHB');
    expect(between(topology, GPU, ELSEWHERE)).toBe('SYS');
  });

  it('says of each device where it is, and not whose it is', async () => {
    const { devices } = await ask(`?address=${VF},${GPU}`);
    expect(devices).toEqual([
      {
        ...{ address: GPU, vendor_id: '10de', product_id: '20b0', class_code: '030200', device_type: 'type-PCI' },
        ...{ parent_address: null, numa_node: 0, acs_redirect: true },
        neighbourhoods: {
          ...{ switch: '0000:20:01.0/0000:21:00.0', root_port: '0000:20:01.0' },
          ...{ pcie_root: 'pci0000:20', numa_node: 'node 0' },
        },
      },
      expect.objectContaining({ address: VF, device_type: 'type-VF', parent_address: NIC }),
    ]);
  });

  it('is narrowed by address, vendor and product', async () => {
    const addresses = async (query: string) => (await ask(query)).devices.map(({ address }) => address);
    expect(await addresses(`?address=${ON_NODE}, 23:00.0`)).toEqual([GPU, ON_NODE]);
    expect(await addresses('?vendor_id=10DE')).toHaveLength(8);
    expect(await addresses('?vendor_id=15b3&product_id=1017')).toEqual([NIC, '0000:a5:00.0']);
    expect(await addresses(`?vendor_id=15b3&address=${GPU},${NIC}`)).toEqual([NIC]);
    expect(await ask('?vendor_id=1002')).toMatchObject({ devices: [], distances: [], left_out: 0 });
  });

  it('is of 64 devices at most, and says how many are left out', async () => {
    const topology = await ask('', 'wide');
    expect(topology.devices).toHaveLength(64);
    expect(topology.distances.map((row) => row.length)).toEqual(Array(64).fill(64));
    expect(topology.left_out).toBe(6);
    expect(topology.devices[0]).toMatchObject({ acs_redirect: null });
  });

  it('is shown of single devices, too: whether ACS redirects', async () => {
    const { body } = await api.http.get('/v1/devices?host=gpus&vendor_id=10de&limit=1').expect(200);
    expect(body.devices[0]).toMatchObject({ address: GPU, acs_redirect: true });
    const old = await api.http.get('/v1/devices?host=wide&limit=1').expect(200);
    expect(old.body.devices[0]).toMatchObject({ acs_redirect: null });
  });

  it.each<[path: string, status: number, problem: string]>([
    ['gpus/topology?address=nonsense', 400, 'address: "nonsense" is not a PCI address'],
    ['gpus/topology?address=', 400, 'address: '],
    [
      'gpus/topology?address=0000:23:00.1',
      400,
      'address: the host offers no 0000:23:00.1; did you mean "0000:23:00.0"?',
    ],
    ['gpus/topology?address=0000:20:01.0', 400, 'address: the host offers no 0000:20:01.0'],
    [`gpus/topology?address=${Array(65).fill(GPU).join()}`, 400, 'address: names 65; at most 64'],
    [`gpus/topology?address=${'a'.repeat(2049)}`, 400, 'address: has more than 2048 characters'],
    [`gpus/topology?address=${GPU}&address=${VF}`, 400, 'address: is given more than once'],
    ['gpus/topology?vendor_id=nvidia', 400, 'vendor_id: has to be four hex digits'],
    ['gpus/topology?adress=x', 400, 'adress: is not known here; did you mean "address"?'],
    ['gpuss/topology', 404, 'There is no host "gpuss"; did you mean "gpus"?'],
  ])('refuses what is wrong, case %#', async (path, status, problem) => {
    const { body } = await api.http.get(`/v1/hosts/${path}`).expect(status);
    expect((body as { detail: string }).detail).toContain(problem);
  });

  describe('berth host topology show', () => {
    const run = (...words: string[]): Promise<Ended> =>
      berth(['host', 'topology', 'show', ...words], { BERTH_URL: new URL(api.http.get('/').url).origin });

    it('prints the matrix', async () => {
      const { code, stdout, stderr } = await run('gpus', '--address', GPU, '--address', VF, '--address', ELSEWHERE);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain('gpus: 3 devices\n');
      expect(stdout).toMatch(/^0 {2}0000:23:00\.0 {2}10de:20b0 {2}0302 .* X {5}PIX\* {2}SYS$/m);
      expect(stdout).toMatch(/^\* +ACS redirects/m);
    });

    it('prints the answer of the REST face as JSON', async () => {
      const { stdout } = await run('gpus', '--device', '15b3:1017', '-f', 'json');
      expect(JSON.parse(stdout)).toEqual(await ask('?vendor_id=15b3&product_id=1017'));
    });

    it.each<[string[], number, string]>([
      [['gpuss'], 1, 'There is no host "gpuss"; did you mean "gpus"?'],
      [['gpus', '--device', 'nvidia'], 2, 'has to be vendor:product, like 10de:20b0'],
      [['gpus', '--url', 'nowhere'], 2, '--url: "nowhere" is not a URL'],
      [['gpus', '--url', 'http://127.0.0.1:1'], 1, 'http://127.0.0.1:1 does not answer'],
      [['gpus/../../devices'], 1, 'There is no host "gpus/../../devices"'],
    ])('says what is wrong: %j', async (words, wanted, problem) => {
      const { code, stdout, stderr } = await run(...words);
      expect([code, stdout]).toEqual([wanted, '']);
      expect(stderr).toContain(problem);
    });
  });
});
