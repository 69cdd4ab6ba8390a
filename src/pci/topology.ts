import type { Address } from './address.js';
import { compareAddresses } from './address.js';

/**
 * How far two functions are from each other, near to far, in the words of `nvidia-smi topo -m`:
 *
 *   SELF  one function
 *   PIX   below one PCIe switch (or one root port that has no switch)
 *   PXB   below one root port, over several switches
 *   PHB   below one host bridge
 *   NODE  on one NUMA node, below different host bridges
 *   SYS   across NUMA nodes
 */
export const DISTANCES = ['SELF', 'PIX', 'PXB', 'PHB', 'NODE', 'SYS'] as const;
export type Distance = (typeof DISTANCES)[number];

/** The distances that make a neighbourhood of more than one function and less than the whole host. */
export const LEVELS = ['PIX', 'PXB', 'PHB', 'NODE'] as const;
export type Level = (typeof LEVELS)[number];

/** What the distance is told from: the kernel's directory of a function, and its NUMA node. */
export interface TopologyPoint {
  readonly address: Address;
  /** From the host bridge down, the function itself left out: `['pci0000:80', '0000:80:01.0']`. */
  readonly pciePath: readonly string[];
  readonly numaNode: number | null;
  /** Of a VF: its PF. */
  readonly parentAddress?: Address | null;
}

/**
 * The neighbourhoods that a function is in, by level: two functions are within a level when they have the same text there.
 * Neighbourhoods nest: who shares a switch shares the root port, the host bridge and the node.
 */
export type Neighbourhoods = Readonly<Record<Level, string>>;

/** By device address. */
export type Topology = ReadonlyMap<Address, Neighbourhoods>;

/**
 * Where a host's functions are, told from sysfs paths alone: it holds for every PCI class, and also for functions that no
 * driver, or vfio-pci, has.
 *
 * NUMA nodes are the host bridge's: that of the first function below it that says one. So a function that does not say
 * its node is where its neighbours are, and neighbourhoods nest whatever the firmware tells. A bridge of which no node is
 * known is a node of its own.
 */
export function topologyOf(points: readonly TopologyPoint[]): Topology {
  const inOrder = [...points].sort((a, b) => compareAddresses(a.address, b.address));
  const nodes = new Map<string, number>();
  for (const point of inOrder) {
    const bridge = bridgeOf(point);
    if (point.numaNode !== null && !nodes.has(bridge)) nodes.set(bridge, point.numaNode);
  }
  return new Map(inOrder.map((point) => [point.address, neighbourhoodsOf(point, nodes)]));
}

function neighbourhoodsOf(point: TopologyPoint, nodes: ReadonlyMap<string, number>): Neighbourhoods {
  const bridge = bridgeOf(point);
  const [rootPort, ...below] = portsOf(point.pciePath);
  const node = nodes.get(bridge);
  // a function of the host bridge itself (an integrated endpoint) has no port: its slot is its neighbourhood
  const port = rootPort ?? `${bridge}/${slotOf(point)}`;
  return {
    // the last bridge is the switch's downstream port, which is this function's alone; the one above is the switch
    PIX: [port, ...below.slice(0, -1)].join('/'),
    PXB: port,
    PHB: bridge,
    NODE: node === undefined ? bridge : `node ${node}`,
  };
}

/** Where nothing is known of the way to it, a function has only what is in its slot for company. */
function bridgeOf(point: TopologyPoint): string {
  return point.pciePath[0] ?? `no bridge/${slotOf(point)}`;
}

/** From the root port down. Intel's VMD, itself a function of a host bridge, is a further host bridge for what is behind it. */
function portsOf(pciePath: readonly string[]): readonly string[] {
  return pciePath.slice(pciePath.findLastIndex((hop) => hop.startsWith('pci')) + 1);
}

/** VFs are where their PF is, also when they have so many numbers that they are given further slots. */
function slotOf({ address, parentAddress }: Pick<TopologyPoint, 'address' | 'parentAddress'>): string {
  return (parentAddress ?? address).slice(0, -2);
}

/** How far two functions are from each other. A function that is not in the topology is far from all others. */
export function distanceBetween(topology: Topology, a: Address, b: Address): Distance {
  if (a === b) return 'SELF';
  const [here, there] = [topology.get(a), topology.get(b)];
  if (!here || !there) return 'SYS';
  return LEVELS.find((level) => here[level] === there[level]) ?? 'SYS';
}

/** A function of which is known whether ACS redirects it: see `PciDevice`. */
export type RedirectablePoint = Pick<TopologyPoint, 'address' | 'parentAddress'> & {
  readonly acsRedirect?: boolean | null;
};

/**
 * Whether functions reach each other through the root complex only, however near they are: ACS of one of them says so. What
 * functions of one slot say to each other is the card's own matter. null when it is not known of all of them.
 */
export function isRedirected(functions: readonly RedirectablePoint[]): boolean | null {
  if (new Set(functions.map(slotOf)).size < 2) return false;
  if (functions.some(({ acsRedirect }) => acsRedirect === true)) return true;
  return functions.every(({ acsRedirect }) => acsRedirect === false) ? false : null;
}

/** The farthest that two of the functions are from each other; SELF for one, or none. */
export function spreadOf(topology: Topology, addresses: readonly Address[]): Distance {
  let spread = 0;
  for (const [at, a] of addresses.entries()) {
    for (const b of addresses.slice(at + 1)) {
      spread = Math.max(spread, DISTANCES.indexOf(distanceBetween(topology, a, b)));
    }
  }
  return DISTANCES[spread] as Distance;
}
