import { describe, expect, it } from 'vitest';
import { randomHost } from '../../test/support/hosts.js';
import { card } from './cards.js';
import { bridge, device, type Card, type HostDescription, type RootDescription } from './description.js';
import { DEMO_HOSTS } from './demo-fleet.js';
import { generateHost } from './generator.js';
import { loadRecordedTree, type HostTree, type TreeEntry } from './tree.js';

// QEMU's own cards, as the captured trees have them.
const RED_HAT = { vendorId: '1b36' } as const;
const QEMU_SUBSYSTEM = { subsystemVendorId: '1af4', subsystemProductId: '1100' } as const;
const SLOW_LINK = { speed: 2.5, width: 1 } as const;
const MIB = 1024 * 1024;

const HOST_BRIDGE = card({ name: 'Q35', vendorId: '8086', productId: '29c0', classCode: '060000', ...QEMU_SUBSYSTEM });
const ISA_BRIDGE = card({
  name: 'ICH9',
  vendorId: '8086',
  productId: '2918',
  classCode: '060100',
  revision: '02',
  ...QEMU_SUBSYSTEM,
});
const EXPANDER = card({ name: 'pxb', ...RED_HAT, productId: '000b', classCode: '060000', ...QEMU_SUBSYSTEM });
const VIRTIO_NIC = card({
  name: 'virtio-net',
  vendorId: '1af4',
  productId: '1000',
  classCode: '020000',
  subsystemProductId: '0001',
  driver: 'virtio-pci',
  bars: [
    { index: 0, kind: 'io', bytes: 32 },
    { index: 1, kind: 'memory', bytes: 4096 },
    { index: 4, kind: 'prefetchable64', bytes: 16384 },
  ],
  presents: 'virtio-net',
});
const ROOT_PORT = card({
  name: 'root port',
  ...RED_HAT,
  productId: '000c',
  classCode: '060400',
  driver: 'pcieport',
  link: SLOW_LINK,
  bars: [{ index: 0, kind: 'memory', bytes: 4096 }],
  acs: true,
  port: 'root',
});
/** With nothing of PCIe behind it, the port's link stays at what it can. */
const IDLE_PORT: Card = { ...ROOT_PORT, link: { speed: 16, width: 32 } };
const EDU = card({
  name: 'edu',
  vendorId: '1234',
  productId: '11e8',
  classCode: '00ff00',
  revision: '10',
  ...QEMU_SUBSYSTEM,
  bars: [{ index: 0, kind: 'memory', bytes: MIB }],
  resetMethods: ['bus'],
});
const DISPLAY = card({
  name: 'bochs-display',
  vendorId: '1234',
  productId: '1111',
  classCode: '038000',
  revision: '02',
  ...QEMU_SUBSYSTEM,
  link: SLOW_LINK,
  bars: [
    { index: 0, kind: 'prefetchable64', bytes: 16 * MIB },
    { index: 2, kind: 'memory', bytes: 4096 },
  ],
  resetMethods: ['bus'],
});
const SOUND = card({
  name: 'intel-hda',
  vendorId: '8086',
  productId: '2668',
  classCode: '040300',
  revision: '01',
  ...QEMU_SUBSYSTEM,
  bars: [{ index: 0, kind: 'memory', bytes: 16384 }],
});
const NVME_VF = card({ name: 'nvme VF', ...RED_HAT, productId: '0010', classCode: '010802', link: SLOW_LINK });
const nvme = (totalVfs: number): Card =>
  card({
    ...NVME_VF,
    name: 'nvme',
    ...QEMU_SUBSYSTEM,
    revision: '02',
    driver: 'nvme',
    bars: [{ index: 0, kind: 'memory64', bytes: 16384 }],
    resetMethods: ['flr', 'bus'],
    acs: true,
    presents: 'nvme',
    sriov: { totalVfs, offset: 1, stride: 1, vf: NVME_VF },
  });
const nic = (subsystemProductId: string): Card =>
  card({
    name: 'e1000e',
    vendorId: '8086',
    productId: '10d3',
    classCode: '020000',
    subsystemVendorId: '15d9',
    subsystemProductId,
    driver: 'e1000e',
    link: SLOW_LINK,
    bars: [
      { index: 0, kind: 'memory', bytes: 131072 },
      { index: 1, kind: 'memory', bytes: 131072 },
      { index: 2, kind: 'io', bytes: 32 },
      { index: 3, kind: 'memory', bytes: 16384 },
    ],
    resetMethods: ['pm', 'bus'],
    presents: 'ethernet',
  });

function acceleratorRoot(bus: number, numaNode: number): RootDescription {
  const port = (slot: number, ...children: readonly ReturnType<typeof device>[]) =>
    bridge(`0${slot}.0`, slot < 4 ? IDLE_PORT : ROOT_PORT, bus + 1 + slot, children);
  return {
    bus,
    numaNode,
    children: [
      ...[0, 1, 2, 3].map((slot) => port(slot, device('00.0', EDU))),
      port(4, device('00.0', DISPLAY), device('00.1', SOUND)),
      port(5, device('00.0', nvme(4 * numaNode + 3))),
      port(6, device('00.0', nic(numaNode === 0 ? '1533' : '1534'), { interfaceName: `eth${2 - numaNode}` })),
    ],
  };
}

/** The topology of the captured tree `accel`, in the generator's words. */
const ACCEL: HostDescription = {
  name: 'accel',
  numaNodes: [
    { cpus: '0', memoryMb: 707, socket: 0 },
    { cpus: '1', memoryMb: 755, socket: 1 },
  ],
  iommu: true,
  roots: [
    {
      bus: 0,
      numaNode: null,
      children: [
        device('00.0', HOST_BRIDGE),
        device('02.0', VIRTIO_NIC, { interfaceName: 'eth0' }),
        device('10.0', EXPANDER),
        device('11.0', EXPANDER),
        device('1f.0', ISA_BRIDGE),
      ],
    },
    acceleratorRoot(0x80, 1),
    acceleratorRoot(0x20, 0),
  ],
  defaultRoute: 'eth0',
};

/** What the comparison is about; the rest of a captured tree is about other buses and virtual devices. */
const COMPARED = [
  /^sys\/devices\/pci/,
  /^sys\/devices\/system\/node/,
  /^sys\/kernel\/iommu_groups/,
  /^sys\/bus\/pci\/(devices|drivers\/(e1000e|nvme|pcieport|virtio-pci)|drivers_.*|rescan|resource_alignment|uevent)(\/|$)/,
  /^sys\/class\/(pci_bus|net|iommu|nvme)(\/|$)/,
  /^sys\/devices\/virtual\/iommu/,
];

/** What the generator leaves out, and why. */
const OMITTED = [
  /\/waiting_for_supplier$/, // a firmware node's
  /\/QEMU0002:00/, // QEMU's firmware interface
  /\/aer_rootport|\/ptp(\/|$)|\/hwmon\d*(\/|$)|\/pools$/, // clocks, sensors and counters of drivers
  /\/net\/lo$/, // no PCI device's
  /\/rom$|\/link\/l0s_aspm$/, // firmware on the card, and links that can sleep
  /\/node\d+\/x86(\/|$)/, // encrypted memory
];

/** Values that follow from the machine, its firmware or its drivers: they have to look alike, not be the same. */
const LOOK_ALIKE =
  /\/(resource|irq|address|ifindex|iflink|uevent|meminfo|dev|cntlid|domains_used|addr_assign_type|name_assign_type)$/;

/** Values in which this description and QEMU's cards differ in ways that do not matter to a scheduler. */
const MAY_DIFFER = new RegExp(
  `/(${[
    'config|max_link_speed|max_link_width', // compared by lspci; QEMU's ports can do more than they do
    'power_state|dma_mask_bits|consistent_dma_mask_bits|enable|d3cold_allowed|ari_enabled|msi_bus', // as the driver left them
    'carrier.*|operstate|flags|speed|duplex|dormant|testing|tx_queue_len|features|mtu', // a cable's state
    'model|subsysnqn|firmware_rev|queue_count|sqsize|has_generic_initiator',
  ].join('|')})$`,
);

describe('generateHost', () => {
  it('writes what a kernel shows: the same paths, kinds, modes and links as the captured tree', async () => {
    const captured = compared(await loadRecordedTree('accel'));
    const generated = compared(generateHost(ACCEL));
    expect([...generated.keys()].sort()).toEqual([...captured.keys()].sort());
    const outlines = (tree: ReadonlyMap<string, TreeEntry>): unknown =>
      [...tree].map(([path, entry]) => [path, outline(entry)]);
    expect(outlines(generated)).toEqual(outlines(captured));
  });

  it('writes the same texts in the same format', async () => {
    const captured = compared(await loadRecordedTree('accel'));
    const generated = compared(generateHost(ACCEL));
    expect(textsOf(generated)).toEqual(textsOf(captured));
    expect(textsOf(captured).length).toBeGreaterThan(800);
  });

  it('gives a config space as long as the captured one, with the same ids', async () => {
    const captured = compared(await loadRecordedTree('accel'));
    const generated = compared(generateHost(ACCEL));
    for (const [path, entry] of captured) {
      if (!path.endsWith('/config')) continue;
      const [theirs, ours] = [bytesOf(entry), bytesOf(generated.get(path))];
      expect(ours.length, path).toBe(theirs.length);
      const header = (bytes: Uint8Array): Uint8Array => bytes.subarray(8, 12);
      expect([ours.subarray(0, 4), header(ours)], path).toEqual([theirs.subarray(0, 4), header(theirs)]);
    }
  });

  it.each(DEMO_HOSTS)('always writes the same tree for $name', (host) => {
    expect(generateHost(host)).toEqual(generateHost(structuredClone(host)));
  });

  it('writes any host so that every link inside the tree leads somewhere', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const tree = generateHost(randomHost(seed));
      expect(danglingLinks(tree), `seed ${seed}`).toEqual([]);
    }
  });

  it('puts two functions of a slot without ACS into one IOMMU group, and VFs into their own', () => {
    const groups = groupsOf(generateHost(DEMO_HOSTS[1] as HostDescription));
    expect(groups.get('0000:83:00.0')).toBe(groups.get('0000:83:00.1'));
    const virtual = [1, 2, 3, 4].map((fn) => groups.get(`0000:0a:00.${fn}`));
    expect(new Set([...virtual, groups.get('0000:0a:00.0')]).size).toBe(5);
  });

  it('has no groups without an IOMMU', () => {
    const tree = generateHost({ ...(DEMO_HOSTS[0] as HostDescription), iommu: false });
    expect(groupsOf(tree).size).toBe(0);
    expect(tree.entries.filter(({ path }) => path.includes('/iommu_groups/') || path.includes('dmar0'))).toEqual([]);
  });
});

function compared(tree: HostTree): Map<string, TreeEntry> {
  const chosen = tree.entries.filter(
    ({ path }) => COMPARED.some((part) => part.test(path)) && !OMITTED.some((part) => part.test(path)),
  );
  return new Map(chosen.map((entry) => [entry.path, entry]));
}

function outline(entry: TreeEntry | undefined): unknown {
  if (entry?.kind === 'link') return { kind: 'link', target: entry.target };
  return entry && { kind: entry.kind, mode: entry.mode.toString(8) };
}

function textsOf(tree: ReadonlyMap<string, TreeEntry>): readonly (readonly [string, unknown])[] {
  return [...tree].flatMap(([path, entry]) => {
    if (entry.kind !== 'file' || MAY_DIFFER.test(path)) return [];
    return [[path, LOOK_ALIKE.test(path) ? lookOf(path, entry.content) : entry.content] as const];
  });
}

/** The text with its numbers blotted out; of lists, the first line. */
function lookOf(path: string, content: string | Uint8Array): string {
  const look = String(content)
    .replaceAll(/[0-9a-f]+/gi, '#')
    .replaceAll(/ +/g, ' ');
  return path.endsWith('/meminfo') ? (look.split('\n')[0] as string) : look;
}

function bytesOf(entry: TreeEntry | undefined): Uint8Array {
  return entry?.kind === 'file' ? Buffer.from(entry.content as Uint8Array) : new Uint8Array();
}

function groupsOf(tree: HostTree): Map<string, string> {
  const links = tree.entries.filter(({ path }) => path.endsWith('/iommu_group'));
  return new Map(
    links.map((link) => [
      link.path.split('/').at(-2) as string,
      link.kind === 'link' ? (link.target.split('/').at(-1) as string) : '',
    ]),
  );
}

function danglingLinks(tree: HostTree): string[] {
  const paths = new Set(tree.entries.map(({ path }) => path));
  // Classes and buses that are not PCI's: neither recordings nor generated trees have them.
  const elsewhere = /^sys\/(class\/[^/]+|bus\/(pci|node|virtio.*))$/;
  return tree.entries.flatMap((entry) => {
    if (entry.kind !== 'link') return [];
    const target = new URL(entry.target, `file:///${entry.path}`).pathname.slice(1);
    return paths.has(target) || elsewhere.test(target) ? [] : [`${entry.path} -> ${entry.target}`];
  });
}
