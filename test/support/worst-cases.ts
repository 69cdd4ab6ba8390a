import { aHost, aRequest, wants, type DeviceSketch } from './snapshots.js';
import type { DeviceRequest, PlacementRequest, TopologyConstraint } from '../../src/placement/request.js';
import type { HostSnapshot } from '../../src/placement/snapshot.js';

const GPU = '10de:2330';
const NIC = '15b3:1021';

/** So many GPUs and NICs, two of each below a switch, two switches below a root port. */
function board(gpus: number, nics: number): HostSnapshot {
  return aHost('h', sketches(gpus, nics));
}

function sketches(gpus: number, nics: number): DeviceSketch[] {
  const at = (bus: number, slot: number): string => `0000:${bus.toString(16).padStart(2, '0')}:0${slot}.0`;
  const path = (index: number): string[] => {
    const [half, quarter] = [index >> 2, index >> 1];
    const node = index * 2 < Math.max(gpus, nics) ? 0 : 1;
    return [`pci0000:${node}0`, `root ${half}`, `top ${half}`, `down ${quarter}`, `switch ${quarter}`, `port ${index}`];
  };
  const node = (index: number): number => (index * 2 < Math.max(gpus, nics) ? 0 : 1);
  const sketch = (index: number, more: Partial<DeviceSketch>): DeviceSketch => ({
    ...{ address: '', numaNode: node(index), pciePath: path(index) },
    ...more,
  });
  return [
    ...Array.from({ length: gpus }, (_unused, index) => sketch(index, { address: at(32 + index, 0), ids: GPU })),
    ...Array.from({ length: nics }, (_unused, index) => sketch(index, { address: at(160 + index, 0), ids: NIC })),
  ];
}

const gpus = (count: number, more: Partial<DeviceRequest> = {}): DeviceRequest => ({
  ...wants('gpu', count, GPU),
  ...more,
});
const nics = (count: number): DeviceRequest => wants('nic', count, NIC);
const pair = (level: 'PIX' | 'PXB', per = 1, weight: number | null = null): TopologyConstraint => ({
  ...{ kind: 'pair', level, per, requests: [0, 1], weight },
});

/** A question on which allocators of the field take seconds, give up or are wrong; asked of one host. */
export interface WorstCase {
  readonly name: string;
  readonly host: HostSnapshot;
  readonly request: PlacementRequest;
  /** How many devices are given; or the code of the reason for a refusal. */
  readonly answer: number | string;
  /** Whether the constraint is met, where there is one that is merely preferred. */
  readonly met?: boolean;
}

const KINDS = Array.from({ length: 12 }, (_unused, kind) => `10de:${(0x1000 + kind).toString(16)}`);
const KIND_DEVICES = KINDS.flatMap((ids, kind) =>
  [0, 1].map((slot) => ({ address: `0000:${(16 + kind).toString(16)}:0${slot}.0`, ids, numaNode: kind % 2 })),
);
/** Each takes two of its own kind or the next one's. */
const CHAIN = KINDS.map((ids, kind) => ({
  ...wants(`a${kind}`, 2, ids),
  specs: [ids, KINDS[(kind + 1) % 12] as string].flatMap((one) => wants('x', 1, one).specs),
}));
const FAR_NIC = { address: '0000:f0:00.0', ids: NIC, numaNode: 1, pciePath: ['pci0000:90', 'far'] };
const APART: TopologyConstraint = { kind: 'distinct', attribute: 'switch', requests: [0], weight: null };

export const WORST_CASES: readonly WorstCase[] = [
  { name: '6 of 8 equal devices', host: board(8, 0), request: aRequest([gpus(6)]), answer: 6 },
  { name: '8 of 8 equal devices', host: board(8, 0), request: aRequest([gpus(8)]), answer: 8 },
  ...[6, 8].map((count) => ({
    name: `${count} requests for one each of 8 equal devices`,
    host: board(8, 0),
    request: aRequest(Array.from({ length: count }, () => gpus(1))),
    answer: count,
  })),
  ...[8, 64, 200].map((count) => ({
    name: `${count} devices of a host with one fewer`,
    host: board(count - 1, 0),
    request: aRequest([gpus(count)]),
    answer: 'device.not_enough_free',
  })),
  {
    name: '32 requests for one each of 31 devices',
    host: board(31, 0),
    request: aRequest(Array.from({ length: 32 }, () => gpus(1))),
    answer: 'device.compete',
  },
  ...(
    [
      [8, 8, 1],
      [16, 16, 1],
      [16, 8, 2],
      [32, 32, 1],
    ] as const
  ).map(([many, few, per]) => ({
    name: `${many} GPUs and ${few} NICs, a NIC for ${per} below its switch`,
    host: board(many, many),
    request: aRequest([gpus(many), nics(few)], { constraints: [pair('PIX', per)] }),
    answer: many + few,
    met: true,
  })),
  {
    name: '8 GPUs and 7 NICs, one for each below its switch',
    host: board(8, 7),
    request: aRequest([gpus(8), nics(7)], { constraints: [pair('PIX')] }),
    answer: 'device.topology',
  },
  {
    name: '8 GPUs and 7 NICs, one for two below its root port',
    host: board(8, 7),
    request: aRequest([gpus(8), nics(7)], { constraints: [pair('PXB', 2)] }),
    answer: 15,
    met: true,
  },
  {
    name: 'a pair that is merely preferred, and there is none',
    host: aHost('h', [...sketches(4, 0), FAR_NIC]),
    request: aRequest([gpus(1), nics(1)], { constraints: [pair('PIX', 1, 50)] }),
    answer: 2,
    met: false,
  },
  {
    name: '8 GPUs below 8 switches',
    host: board(16, 0),
    request: aRequest([gpus(8)], { constraints: [APART] }),
    answer: 8,
  },
  {
    name: '9 GPUs below 8 switches',
    host: board(16, 0),
    request: aRequest([gpus(9)], { constraints: [APART] }),
    answer: 'device.topology',
  },
  { name: '12 requests that overlap in a ring', host: aHost('h', KIND_DEVICES), request: aRequest(CHAIN), answer: 24 },
  {
    name: '12 requests that overlap in a ring, one device short',
    host: aHost('h', KIND_DEVICES.slice(1)),
    request: aRequest(CHAIN),
    answer: 'device.compete',
  },
  { name: '2 to 8 of 7 devices', host: board(7, 0), request: aRequest([gpus(2, { countMax: 8 })]), answer: 7 },
];
