import * as cards from './cards.js';
import { bridge, device, type HostDescription, type RootDescription, type SlotDescription } from './description.js';

const GIB_MB = 1024;
const TWO_SOCKETS = [
  { cpus: '0-15', memoryMb: 96 * GIB_MB, socket: 0 },
  { cpus: '16-31', memoryMb: 96 * GIB_MB, socket: 1 },
] as const;

/** Bus 00: the host bridge, the system disk and the NIC through which the operator comes. */
function systemRoot(): RootDescription {
  return {
    bus: 0x00,
    numaNode: 0,
    children: [
      device('00.0', cards.HOST_BRIDGE),
      bridge('1c.0', cards.ROOT_PORT, 0x01, [device('00.0', cards.NVME)]),
      bridge('1d.0', cards.ROOT_PORT, 0x02, [device('00.0', cards.I210, { interfaceName: 'eno1' })]),
    ],
  };
}

/**
 * A host of the charms guide: two P5000 at 83:00.0 and 84:00.0. They have no audio function, so each is alone in its
 * IOMMU group and `gpu:1` is one PCI function.
 */
export function twoP5000Host(name: string): HostDescription {
  const children = [
    bridge('02.0', cards.ROOT_PORT, 0x83, [device('00.0', cards.P5000)]),
    bridge('03.0', cards.ROOT_PORT, 0x84, [device('00.0', cards.P5000)]),
  ];
  return { ...host(name), roots: [systemRoot(), { bus: 0x80, numaNode: 1, children }] };
}

/** {@link twoP5000Host} with an SR-IOV NIC (two ports, four VFs on the first), on the other socket. */
function gpuAndSriovHost(name: string): HostDescription {
  const gpus = twoP5000Host(name);
  return { ...gpus, roots: [...gpus.roots, { bus: 0x40, numaNode: 0, children: [x710(0x41, 4)] }] };
}

function x710(bus: number, vfs: number): SlotDescription {
  return bridge('01.0', cards.ROOT_PORT, bus, [
    device('00.0', cards.X710, { vfs }),
    device('00.1', { ...cards.X710, sriov: { ...X710_SRIOV, offset: X710_SRIOV.offset + 63 } }),
  ]);
}

const X710_SRIOV = cards.X710.sriov as NonNullable<typeof cards.X710.sriov>;

/** An SR-IOV NIC with two ports; `vfs` exist on the first. */
export function sriovNicHost(name: string, vfs = 4): HostDescription {
  return { ...host(name), roots: [systemRoot(), { bus: 0x80, numaNode: 1, children: [x710(0x81, vfs)] }] };
}

/** Zun's host: QuickAssist VFs 8086:0443 at 0a:00.1 and on, which the whitelist address `:0a:00.` names. */
export function quickAssistHost(name: string, vfs = 4): HostDescription {
  return { ...host(name), roots: [systemRoot(), { bus: 0x08, numaNode: 0, children: [quickAssist(vfs)] }] };
}

function quickAssist(vfs: number): SlotDescription {
  return bridge('00.0', cards.ROOT_PORT, 0x0a, [device('00.0', cards.QUICKASSIST, { vfs })]);
}

/** GPUs of two makers, P5000s with their sound function in the same IOMMU group, and QuickAssist. */
function mixedHost(name: string): HostDescription {
  const p5000 = [device('00.0', cards.P5000), device('00.1', cards.P5000_AUDIO)];
  return {
    ...host(name),
    roots: [
      systemRoot(),
      { bus: 0x08, numaNode: 0, children: [quickAssist(4)] },
      {
        bus: 0x40,
        numaNode: 0,
        children: [
          bridge('00.0', cards.ROOT_PORT, 0x41, [device('00.0', cards.MI100)]),
          bridge('01.0', cards.ROOT_PORT, 0x42, [device('00.0', cards.MI100)]),
        ],
      },
      {
        bus: 0x80,
        numaNode: 1,
        children: [bridge('00.0', cards.ROOT_PORT, 0x83, p5000), bridge('01.0', cards.ROOT_PORT, 0x84, p5000)],
      },
    ],
  };
}

/**
 * Eight A100 on two NUMA nodes: on each, two switches with two GPUs behind each, and a ConnectX-5 with four VFs
 * behind the first switch.
 */
export function eightGpuHost(name: string): HostDescription {
  const numaNodes = [
    { cpus: '0-31,64-95', memoryMb: 512 * GIB_MB, socket: 0 },
    { cpus: '32-63,96-127', memoryMb: 512 * GIB_MB, socket: 1 },
  ];
  const roots = [systemRoot(), gpuBoard(0x20, 0), gpuBoard(0xa0, 1)];
  return { ...host(name), numaNodes, roots };
}

function gpuBoard(bus: number, numaNode: number): RootDescription {
  const gpu = (slot: number, behind: number): SlotDescription =>
    bridge(`${slot.toString(16).padStart(2, '0')}.0`, cards.SWITCH_DOWNSTREAM, behind, [device('00.0', cards.A100)]);
  const nic = (behind: number): SlotDescription =>
    bridge('08.0', cards.SWITCH_DOWNSTREAM, behind, [device('00.0', { ...cards.CONNECTX5 }, { vfs: 4 })]);
  const behindSwitch = (root: number, ports: readonly SlotDescription[]): SlotDescription =>
    bridge(root === bus + 1 ? '01.0' : '02.0', cards.ROOT_PORT, root, [
      bridge('00.0', cards.SWITCH_UPSTREAM, root + 1, ports),
    ]);
  return {
    bus,
    numaNode,
    children: [
      behindSwitch(bus + 1, [gpu(0, bus + 3), gpu(4, bus + 4), nic(bus + 5)]),
      behindSwitch(bus + 8, [gpu(0, bus + 10), gpu(4, bus + 11)]),
    ],
  };
}

function host(name: string): Omit<HostDescription, 'roots'> {
  return { name, numaNodes: TWO_SOCKETS, iommu: true, defaultRoute: 'eno1' };
}

/** The three nodes of the demonstration. */
export const DEMO_HOSTS: readonly HostDescription[] = [
  gpuAndSriovHost('node-1'),
  mixedHost('node-2'),
  eightGpuHost('node-3'),
];
