/** A region of a card's memory or ports. */
export interface Bar {
  readonly index: number;
  /** A power of two. */
  readonly bytes: number;
  readonly kind: 'io' | 'memory' | 'memory64' | 'prefetchable64';
}

/** PCIe speed in GT/s and number of lanes. */
export interface CardLink {
  readonly speed: 2.5 | 5 | 8 | 16 | 32;
  readonly width: number;
}

/** What a PCI function is: the facts that are the same wherever it is plugged in. */
export interface Card {
  /** For people. */
  readonly name: string;
  /** Four lower-case hex digits, as the other ids. */
  readonly vendorId: string;
  readonly productId: string;
  /** Six lower-case hex digits. */
  readonly classCode: string;
  readonly subsystemVendorId: string;
  readonly subsystemProductId: string;
  /** Two hex digits. */
  readonly revision: string;
  /** The native driver, null when Linux has none. */
  readonly driver: string | null;
  /** null: conventional PCI. */
  readonly link: CardLink | null;
  readonly bars: readonly Bar[];
  readonly resetMethods: readonly string[];
  /** Keeps its own traffic apart: of a port, from its siblings'; of a function, from the slot's other functions'. */
  readonly acs: boolean;
  readonly port: 'root' | 'upstream' | 'downstream' | 'pci' | null;
  readonly presents: 'nothing' | 'ethernet' | 'virtio-net' | 'nvme';
  readonly sriov: CardSriov | null;
}

export interface CardSriov {
  readonly totalVfs: number;
  /** Routing-id distance from the PF to its first VF, and from one VF to the next. */
  readonly offset: number;
  readonly stride: number;
  readonly vf: Card;
}

/** One function of a card in a slot. */
export interface FunctionDescription {
  readonly kind: 'function';
  /** Slot and function on its bus, `00.0`. */
  readonly at: string;
  readonly card: Card;
  /** The bound driver. */
  readonly driver: string | null;
  /** VFs that exist, and the driver bound to them. */
  readonly vfs: number;
  readonly vfDriver: string | null;
  /** Name of its network interface; null: as udev would name it. */
  readonly interfaceName: string | null;
  /** What its Vital Product Data tells; null: it has none. */
  readonly serialNumber: string | null;
}

/** A root port, a switch's port or a bridge, and what is behind it. */
export interface BridgeDescription {
  readonly kind: 'bridge';
  readonly at: string;
  readonly card: Card;
  /** The bus behind it. */
  readonly bus: number;
  readonly children: readonly SlotDescription[];
}

export type SlotDescription = FunctionDescription | BridgeDescription;

export interface RootDescription {
  readonly bus: number;
  /** null: the firmware does not say (the kernel's -1). */
  readonly numaNode: number | null;
  readonly children: readonly SlotDescription[];
}

export interface NumaNodeDescription {
  /** As the kernel lists them: `0-15,32-47`. */
  readonly cpus: string;
  readonly memoryMb: number;
  readonly socket: number;
}

/** A host, in the fewest words from which its sysfs follows. */
export interface HostDescription {
  readonly name: string;
  /** Node N is the one at index N. */
  readonly numaNodes: readonly NumaNodeDescription[];
  readonly iommu: boolean;
  /** In the order in which the kernel found them: IOMMU groups are numbered so. */
  readonly roots: readonly RootDescription[];
  /** The interface that has the default route: the one through which the operator reaches the host. */
  readonly defaultRoute: string | null;
}

/** A card in a slot, with its native driver. */
export function device(
  at: string,
  card: Card,
  particulars: Partial<
    Pick<FunctionDescription, 'driver' | 'vfs' | 'vfDriver' | 'interfaceName' | 'serialNumber'>
  > = {},
): FunctionDescription {
  const none = { vfs: 0, interfaceName: null, serialNumber: null };
  const vfDriver = card.sriov?.vf.driver ?? null;
  return { kind: 'function', at, card, driver: card.driver, vfDriver, ...none, ...particulars };
}

/** A port or bridge with the bus `bus` behind it. */
export function bridge(at: string, card: Card, bus: number, children: readonly SlotDescription[]): BridgeDescription {
  return { kind: 'bridge', at, card, bus, children };
}
