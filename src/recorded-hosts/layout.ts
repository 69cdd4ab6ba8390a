import type { Card, HostDescription, RootDescription, SlotDescription } from './description.js';
import { groupFunctions } from './iommu-grouping.js';
import type { PlacedFunction } from './placed-function.js';

export interface PlacedHost {
  readonly description: HostDescription;
  /** In the order in which the kernel found them: root after root, in each by address, the VFs last. */
  readonly functions: readonly PlacedFunction[];
  /** IOMMU group by address; empty without an IOMMU. */
  readonly groups: ReadonlyMap<string, number>;
}

/** Gives each function of the description its address, directory, VFs and IOMMU group. */
export function placeHost(description: HostDescription): PlacedHost {
  const perRoot = description.roots.map((root) => byAddress(placeRoot(root)));
  const physical = perRoot.flat();
  const virtual = physical.flatMap(virtualFunctionsOf);
  // The kernel met the VFs last: their drivers made them.
  const functions = [...physical, ...virtual];
  return { description, functions, groups: description.iommu ? groupFunctions(functions) : new Map<string, number>() };
}

function placeRoot(root: RootDescription): PlacedFunction[] {
  const place = { bus: root.bus, directory: rootDirectory(root.bus), numaNode: root.numaNode, above: null };
  return root.children.flatMap((child) => placeSlot(child, place));
}

/** From the tree's root: `sys/devices/pci0000:80`. */
export function rootDirectory(bus: number): string {
  return `sys/devices/pci0000:${hex(bus, 2)}`;
}

interface Place {
  readonly bus: number;
  readonly directory: string;
  readonly numaNode: number | null;
  readonly above: PlacedFunction | null;
}

function placeSlot(slot: SlotDescription, place: Place): PlacedFunction[] {
  const address = `0000:${hex(place.bus, 2)}:${slot.at}`;
  const common = {
    address,
    bus: place.bus,
    directory: `${place.directory}/${address}`,
    card: slot.card,
    numaNode: place.numaNode,
    above: place.above,
    physicalFunction: null,
    vfIndex: null,
    serialNumber: slot.kind === 'function' ? slot.serialNumber : null,
  };
  if (slot.kind === 'bridge') {
    const behind = { secondary: slot.bus, subordinate: lastBus(slot) };
    const self = { ...common, driver: slot.card.driver, behind, vfs: 0, vfDriver: null, interfaceName: null };
    const inside = { bus: slot.bus, directory: common.directory, numaNode: place.numaNode, above: self };
    return [self, ...slot.children.flatMap((child) => placeSlot(child, inside))];
  }
  const interfaceName = interfaceOf(slot.card, slot.driver, slot.interfaceName ?? interfaceNameAt(address));
  return [{ ...common, driver: slot.driver, behind: null, vfs: slot.vfs, vfDriver: slot.vfDriver, interfaceName }];
}

function lastBus(slot: SlotDescription): number {
  return slot.kind === 'bridge' ? Math.max(slot.bus, ...slot.children.map(lastBus)) : 0;
}

/** There is an interface only while the native driver holds the device. */
function interfaceOf(card: Card, driver: string | null, name: string): string | null {
  const makes = card.presents === 'ethernet' || card.presents === 'virtio-net';
  return makes && driver !== null && driver === card.driver ? name : null;
}

/** udev's way: `enp129s0f1`, a VF's `enp129s0f1v3`. */
function interfaceNameAt(address: string): string {
  const [bus, slot, fn] = address
    .slice(5)
    .split(/[:.]/)
    .map((digits) => Number.parseInt(digits, 16));
  return `enp${bus}s${slot}${fn === 0 ? '' : `f${fn}`}`;
}

function virtualFunctionsOf(parent: PlacedFunction): PlacedFunction[] {
  const { sriov } = parent.card;
  if (sriov === null) return [];
  return Array.from({ length: parent.vfs }, (_, vfIndex) => {
    const address = virtualFunctionAddress(parent.address, sriov.offset + vfIndex * sriov.stride);
    const driver = parent.vfDriver;
    return {
      ...parent,
      address,
      // The kernel hangs a VF below the bridge above its PF, also when its bus is a later one.
      directory: `${parent.directory.slice(0, -parent.address.length)}${address}`,
      bus: Number.parseInt(address.slice(5, 7), 16),
      card: sriov.vf,
      driver,
      physicalFunction: parent,
      vfs: 0,
      vfDriver: null,
      vfIndex,
      serialNumber: null, // of the card's functions only the PF has Vital Product Data
      interfaceName: interfaceOf(sriov.vf, driver, `${parent.interfaceName}v${vfIndex}`),
    };
  });
}

/** A VF's routing id is its PF's plus a distance. */
export function virtualFunctionAddress(parent: string, distance: number): string {
  const match = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(parent);
  const [bus = 0, slot = 0, fn = 0] = (match?.slice(2) ?? []).map((digits) => Number.parseInt(digits, 16));
  const id = ((bus << 8) | (slot << 3) | fn) + distance;
  return `${match?.[1]}:${hex((id >> 8) & 0xff, 2)}:${hex((id >> 3) & 0x1f, 2)}.${id & 7}`;
}

function byAddress(functions: readonly PlacedFunction[]): PlacedFunction[] {
  return [...functions].sort((a, b) => (a.address < b.address ? -1 : 1));
}

export function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
