import type { WireDevice } from '../messages/device-bodies.js';
import type { WireSriovState, WireSriovWish } from '../messages/sriov-bodies.js';
import { compareAddresses, formatAddress, parseAddress } from '../pci/address.js';

/** What a simulated host has after a wish, and what its agent says of it. */
export interface WishedVfs {
  readonly devices: readonly WireDevice[];
  readonly state: WireSriovState;
}

/**
 * Gives a simulated PF as many VFs as are wished, like those that it had at first; settings of VFs are taken as done. What a real agent
 * would refuse is refused, with nothing changed.
 *
 * @param devices what the host has now
 * @param first what it had at first: where its VFs come from
 * @param inUse addresses that claims have
 */
export function withWishedVfs(
  devices: readonly WireDevice[],
  first: readonly WireDevice[],
  wish: WireSriovWish,
  inUse: ReadonlySet<string>,
): WishedVfs {
  const pf = devices.find(({ address }) => address === wish.address);
  const vfs = vfsOf(devices, wish.address);
  const problem = problemWith(pf, wish, [wish.address, ...vfs.map(({ address }) => address)], inUse);
  if (problem !== null) return { devices, state: stateOf(wish, problem) };
  if (vfs.length === wish.vf_count) return { devices, state: stateOf(wish, null) };
  const model = vfsOf(first, wish.address);
  if (model.length === 0 && wish.vf_count > 0) {
    return { devices, state: stateOf(wish, 'this simulated PF had no VFs at first that others could be made like') };
  }
  const made = [
    ...model.slice(0, wish.vf_count),
    ...furtherVfs(model, wish.vf_count, freeGroup([...devices, ...first])),
  ];
  const others = devices
    .filter(({ parent_address }) => parent_address !== wish.address)
    .map((device) => (device === pf && device.sriov ? withCount(device, wish.vf_count) : device));
  const taken = made.find(({ address }) => others.some((other) => other.address === address));
  if (taken) return { devices, state: stateOf(wish, `its VF ${taken.address} would be where another device is`) };
  const all = [...others, ...made].sort((a, b) => compareAddresses(a.address, b.address));
  return { devices: all, state: stateOf(wish, null) };
}

function withCount(pf: WireDevice, numVfs: number): WireDevice {
  return { ...pf, sriov: pf.sriov && { ...pf.sriov, num_vfs: numVfs } };
}

function vfsOf(devices: readonly WireDevice[], pf: string): WireDevice[] {
  return devices.filter(({ parent_address }) => parent_address === pf);
}

function problemWith(
  pf: WireDevice | undefined,
  wish: WireSriovWish,
  addresses: readonly string[],
  inUse: ReadonlySet<string>,
): string | null {
  if (!pf?.sriov) return 'no PF with VFs is there';
  if (pf.vendor_id !== wish.vendor_id || pf.product_id !== wish.product_id) return 'another card sits there now';
  if (pf.sriov.num_vfs === wish.vf_count) return null;
  if (wish.vf_count > pf.sriov.total_vfs) return `it has at most ${pf.sriov.total_vfs} VFs, not ${wish.vf_count}`;
  const taken = addresses.find((address) => inUse.has(address));
  if (taken !== undefined) return `${taken} is in use; release it first`;
  return null;
}

/** One after another behind the last, each with an IOMMU group of its own. */
function furtherVfs(model: readonly WireDevice[], count: number, firstGroup: number): WireDevice[] {
  const last = model.at(-1);
  if (!last) return [];
  return Array.from({ length: Math.max(0, count - model.length) }, (_none, at) => ({
    ...last,
    address: addressAfter(last.address, at + 1),
    iommu_group: last.iommu_group === null ? null : firstGroup + at,
    netdevs: [],
  }));
}

function addressAfter(address: string, by: number): string {
  const { domain, bus, slot, function: fn } = parseAddress(address);
  const number = bus * 256 + slot * 8 + fn + by;
  return formatAddress({ domain, bus: number >> 8, slot: (number >> 3) & 31, function: number & 7 });
}

function freeGroup(devices: readonly WireDevice[]): number {
  return devices.reduce((most, { iommu_group: group }) => Math.max(most, (group ?? -1) + 1), 0);
}

function stateOf({ address, revision, vf_count }: WireSriovWish, problem: string | null): WireSriovState {
  const said = { address, source: 'ledger', revision, vf_count } as const;
  if (problem === null) return { ...said, state: 'applied', step: null, errno: null, message: null, vfs: [] };
  return { ...said, state: 'refused', step: 'check', errno: null, message: `${address}: ${problem}`, vfs: [] };
}
