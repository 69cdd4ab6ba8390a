import fc from 'fast-check';
import type { FilterContext } from '../../src/placement/filters/filter.js';
import { groupHostsOf } from '../../src/placement/filters/server-group.filters.js';
import type { GuestCell, HostWishes, PlacementRequest } from '../../src/placement/request.js';
import type { HostAggregate, HostedServer, HostSnapshot, PlacementPolicy } from '../../src/placement/snapshot.js';
import { aHost, aRequest, POLICY, wants } from './snapshots.js';

/** Few words, so that what is wanted is often what is found. */
const word = fc.constantFrom('a', 'b', 'c');
const words = fc.uniqueArray(word, { maxLength: 2 });
const serverId = fc.constantFrom('s1', 's2', 's3', 's4');

const aggregate: fc.Arbitrary<HostAggregate> = fc.record({
  name: word,
  metadata: fc.dictionary(
    fc.constantFrom(
      'ssd',
      'filter_tenant_id',
      'hw_architecture',
      'cpu_allocation_ratio',
      'max_instances_per_host',
      'max_io_ops_per_host',
    ),
    fc.constantFrom('a', 'b,c', '1', '2.5', 'x86_64', 'default', ''),
  ),
});

const guestCells: fc.Arbitrary<readonly GuestCell[] | null> = fc.option(
  fc.array(fc.record({ vcpus: fc.integer({ min: 1, max: 4 }), memoryMb: fc.constantFrom(256, 1024) }), {
    minLength: 1,
    maxLength: 2,
  }),
);

/** A server on a host with NUMA nodes 0 and 1. */
function hosted(id: string): fc.Arbitrary<HostedServer> {
  return fc
    .record({
      cells: guestCells,
      first: fc.constantFrom(0, 1),
      dedicated: fc.boolean(),
      group: fc.option(word),
      settled: fc.boolean(),
    })
    .map(({ cells, first, dedicated, group, settled }) => ({
      ...{ id, name: `vm-${id}`, projectId: 'default', vcpus: cells?.reduce((sum, cell) => sum + cell.vcpus, 0) ?? 2 },
      ...{
        memoryMb: 1024,
        diskGb: 1,
        guestCells: cells,
        cpuPolicy: dedicated ? ('dedicated' as const) : ('shared' as const),
      },
      numaCells: cells === null && !dedicated ? null : (cells ?? [null]).map((_cell, index) => (first + index) % 2),
      ...{ groupId: group, priority: 0, preemptible: false, settled },
    }));
}

/** A host as other servers leave it: every plain fact that a filter looks at may say yes or no. */
export function anyHost(name: string): fc.Arbitrary<HostSnapshot> {
  const servers = fc.uniqueArray(serverId, { maxLength: 3 }).chain((ids) => fc.tuple(...[...ids].sort().map(hosted)));
  return fc
    .record({
      status: fc.constantFrom('up' as const, 'up' as const, 'down' as const),
      enabled: fc.boolean(),
      readOnly: fc.boolean(),
      cpus: fc.integer({ min: 1, max: 6 }),
      reserved: fc.record({ vcpus: fc.nat(1), memoryMb: fc.nat(512), diskGb: fc.nat(1) }),
      allocationRatios: fc.option(
        fc.record({ cpu: fc.constantFrom(1, 2.5), ram: fc.constantFrom(1, 1.5), disk: fc.constant(1) }),
      ),
      servers,
      availabilityZone: word,
      aggregates: fc.uniqueArray(aggregate, { maxLength: 2, selector: (one) => one.name }),
      traits: words,
      capabilities: fc.record({
        architecture: fc.constantFrom('x86_64', 'aarch64', null),
        hypervisorType: fc.constantFrom('kvm', 'QEMU', 'lxc', null),
        hypervisorVersion: fc.constantFrom(8_002_000, 6_000_000, null),
        cpuFeatures: words,
      }),
      failedBuilds: fc.nat(2),
      devices: fc.nat(2),
    })
    .map(({ cpus, devices, ...facts }) => {
      const used = facts.servers.reduce((sum, { vcpus }) => sum + vcpus, 0);
      return aHost(
        name,
        Array.from({ length: devices }, (_unused, at) => ({ address: `0000:8${at}:00.0` })),
        {
          ...facts,
          numaCells: [0, 1].map((id) => ({ id, cpus, memoryMb: 2048, socket: id })),
          capacity: { vcpus: 2 * cpus, memoryMb: 4096, diskGb: 4 },
          used: { vcpus: used, memoryMb: 1024 * facts.servers.length, diskGb: facts.servers.length },
        },
      );
    });
}

/** The wish itself, or nothing of it. */
function maybe<T>(wish: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(wish, { nil: undefined });
}

const wishes: fc.Arbitrary<HostWishes> = fc
  .record({
    requestedHost: maybe(fc.constantFrom('h1', 'h2')),
    availabilityZone: maybe(word),
    sameHost: maybe(fc.array(serverId, { maxLength: 2 })),
    differentHost: maybe(fc.array(serverId, { maxLength: 2 })),
    group: maybe(
      fc.record({
        id: word,
        name: fc.constant('web'),
        policy: fc.constantFrom('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'),
        maxServerPerHost: fc.integer({ min: 1, max: 2 }),
      }),
    ),
    requiredTraits: maybe(words),
    forbiddenTraits: maybe(words),
    extraSpecs: maybe(
      fc.dictionary(
        fc.constantFrom(
          'ssd',
          'aggregate_instance_extra_specs:ssd',
          'capabilities:hypervisor_type',
          'capabilities:cpu_info:features',
          'num_instances',
          'hw:x',
        ),
        fc.constantFrom('a', 's== b', '<or> a <or> QEMU', '<in> a', '>= 2', '!= 1'),
      ),
    ),
    imageProperties: maybe(
      fc.dictionary(
        fc.constantFrom('hw_architecture', 'img_hv_type', 'hw_vm_mode', 'img_hv_requested_version', 'ssd'),
        fc.constantFrom('x86_64', 'kvm', 'hvm', '>=8.0', 'a'),
      ),
    ),
  })
  .map((wish) => Object.fromEntries(Object.entries(wish).filter(([, asked]) => asked !== undefined)) as HostWishes);

export const anyRequest: fc.Arbitrary<PlacementRequest> = fc
  .record({
    vcpus: fc.integer({ min: 1, max: 8 }),
    memoryMb: fc.constantFrom(256, 1024, 4096),
    diskGb: fc.nat(5),
    guestCells,
    cpuPolicy: fc.constantFrom('shared' as const, 'dedicated' as const),
    projectId: fc.constantFrom('a', 'default'),
    devices: fc.nat(2),
    host: wishes,
  })
  .map(({ devices, ...request }) => aRequest(devices === 0 ? [] : [wants('gpu', devices, '10de:1bb0')], request));

export const anyPolicy: fc.Arbitrary<PlacementPolicy> = fc
  .record({
    cpuAllocationRatio: fc.constantFrom(1, 4),
    compat: fc.constantFrom('strict' as const, 'nova' as const),
    maxInstancesPerHost: fc.integer({ min: 1, max: 3 }),
    maxIoOpsPerHost: fc.integer({ min: 1, max: 3 }),
  })
  .map((said) => ({ ...POLICY, ...said }));

/** What filters are asked with. */
export function contextOf(
  hosts: readonly HostSnapshot[],
  request: PlacementRequest,
  policy: PlacementPolicy,
): FilterContext {
  const { serverName: _unused, ...judged } = request;
  return { request: judged, policy, excluded: [], groupHosts: groupHostsOf(hosts, judged) };
}
