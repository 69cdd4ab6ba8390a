import type { PlacedFunction } from './placed-function.js';

/**
 * Numbers the IOMMU groups as the kernel does (`pci_device_group`), function after function in the given order.
 *
 * A function joins the group of the lowest bridge above it that cannot keep traffic apart: a PCI bridge, or a port
 * without ACS somewhere on the way up. Else the functions of one slot that lack ACS share a group; else it has its own.
 */
export function groupFunctions(functions: readonly PlacedFunction[]): Map<string, number> {
  const groups = new Map<string, number>();
  let next = 0;
  for (const member of functions) {
    const shared = sharedWith(member, functions).find((other) => groups.has(other.address));
    groups.set(member.address, shared === undefined ? next++ : (groups.get(shared.address) as number));
  }
  return groups;
}

function sharedWith(member: PlacedFunction, all: readonly PlacedFunction[]): PlacedFunction[] {
  const bridge = leakingBridgeAbove(member);
  if (bridge !== null) return [bridge];
  if (member.card.acs || member.physicalFunction !== null) return [];
  const slot = member.address.slice(0, -1);
  return all.filter((other) => other.address.startsWith(slot) && !other.card.acs && other.physicalFunction === null);
}

/** The bridge directly above, when its way up is not isolated; it has joined those above it already. */
function leakingBridgeAbove(member: PlacedFunction): PlacedFunction | null {
  return member.above !== null && !isIsolatedUpwards(member.above) ? member.above : null;
}

function isIsolatedUpwards(bridge: PlacedFunction): boolean {
  for (let at: PlacedFunction | null = bridge; at !== null; at = at.above) {
    const { port, acs } = at.card;
    // A switch's upstream port has nothing beside it from which it could be kept apart.
    if (port === 'pci' || (port !== 'upstream' && !acs)) return false;
  }
  return true;
}
