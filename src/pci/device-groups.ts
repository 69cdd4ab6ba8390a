import { compareAddresses, type Address } from './address.js';
import type { AliasGroup } from './alias/alias-fields.js';
import { isBridge, isVirtualFunction, type PciDevice } from './device.js';

type GroupedDevice = Pick<PciDevice, 'address' | 'vendorId' | 'classCode' | 'deviceType' | 'pciePath'> & {
  readonly offered: boolean;
};

/** Functions that are one piece of hardware. */
export interface DeviceGroup {
  /** The offered ones, in address order. */
  readonly members: readonly Address[];
  /** Why it can never be handed over whole; null when it can. */
  readonly blockedBy: string | null;
}

/** By device address. A device that is not in a map is a group of its own: so maps stay small. */
export type DeviceGroups = Readonly<Record<AliasGroup, ReadonlyMap<Address, DeviceGroup>>>;

/**
 * Which of a host's functions are one slot, and which are one card.
 *
 * A slot is a device number of a bus: a GPU with its audio function, all ports of a NIC. A card is what hangs below one
 * port. A switch above that port belongs to the card when it and everything below it are of one maker: that is how AMD's
 * and Intel's GPUs, BlueField and QuickAssist cards are built (GPU and audio of an Intel Arc are behind two ports of the
 * card's own switch). A switch of another make belongs to the host: on 8-GPU boards GPUs and NICs of several owners are
 * behind one. So a card with two GPUs behind a bought-in switch counts as two cards; the kernel tells nothing that would
 * tell it from such a board. A root port is always the host's.
 *
 * Bridges are not members. Nor are VFs: they go when their PF is handed over, and one in use keeps the PF from it.
 */
export function deviceGroups(devices: readonly GroupedDevice[]): DeviceGroups {
  const physical = devices
    .filter((device) => !isBridge(device) && !isVirtualFunction(device))
    .sort((a, b) => compareAddresses(a.address, b.address));
  const makers = makersBelow(physical);
  const bridges = new Map(devices.filter(isBridge).map((bridge) => [bridge.address, bridge.vendorId]));
  return {
    slot: groupsBy(physical, 'slot', slotOf),
    card: groupsBy(physical, 'card', (device) => cardOf(device, bridges, makers)),
  };
}

const NO_GROUPS: ReadonlyMap<Address, DeviceGroup> = new Map();

function groupsBy(
  devices: readonly GroupedDevice[],
  kind: AliasGroup,
  keyOf: (device: GroupedDevice) => string,
): ReadonlyMap<Address, DeviceGroup> {
  const byKey = new Map<string, GroupedDevice[]>();
  for (const device of devices) {
    const key = keyOf(device);
    const others = byKey.get(key);
    if (others) others.push(device);
    else byKey.set(key, [device]);
  }
  const groups = new Map<Address, DeviceGroup>();
  for (const all of byKey.values()) {
    if (all.length === 1) continue;
    const members = all.filter((device) => device.offered).map((device) => device.address);
    const group: DeviceGroup = { members, blockedBy: blocker(all, kind) };
    for (const address of members) groups.set(address, group);
  }
  return groups.size > 0 ? groups : NO_GROUPS;
}

function blocker(functions: readonly GroupedDevice[], kind: AliasGroup): string | null {
  const kept = functions.find((device) => !device.offered);
  return kept ? `its ${kind} also has ${kept.address}, which is not offered; offer it as well` : null;
}

/** Domain, bus and device number: the address without its function. */
function slotOf({ address }: GroupedDevice): string {
  return address.slice(0, -2);
}

function cardOf(
  device: GroupedDevice,
  bridges: ReadonlyMap<Address, string>,
  makers: ReadonlyMap<Address, ReadonlySet<string>>,
): string {
  // the first is the host bridge, the second the root port
  const ports = device.pciePath.slice(1);
  let top = ports.length - 1;
  while (top >= 2 && isOfOneMake(ports[top - 1] as Address, bridges, makers)) top--;
  return ports[top] ?? slotOf(device);
}

function isOfOneMake(
  bridge: Address,
  bridges: ReadonlyMap<Address, string>,
  makers: ReadonlyMap<Address, ReadonlySet<string>>,
): boolean {
  const below = makers.get(bridge);
  const own = bridges.get(bridge);
  return own !== undefined && below?.size === 1 && below.has(own);
}

/** Bridge → vendors of the functions below it. */
function makersBelow(devices: readonly GroupedDevice[]): Map<Address, Set<string>> {
  const makers = new Map<Address, Set<string>>();
  for (const { vendorId, pciePath } of devices) {
    for (const bridge of pciePath) makers.set(bridge, (makers.get(bridge) ?? new Set()).add(vendorId));
  }
  return makers;
}
