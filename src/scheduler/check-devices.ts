import { isVfioDriver } from '../pci/binding-mode.js';
import type { Address } from '../pci/address.js';
import { isVirtualFunction } from '../pci/device.js';
import { isInUse, settled, type DeviceState, type DeviceStatus } from '../pci/device-state.js';
import type { CheckedDevice } from '../store/check-devices.store.js';
import type { CheckCode, Found } from '../store/check-found.js';

/**
 * What is wrong with the devices of one host. Pure.
 *
 * A free device is judged by the statuses that its relatives have, so that one wrong status is one finding.
 */
export function judgeDevices(devices: readonly CheckedDevice[]): Found[] {
  const world = new Map(devices.map((device) => [device.address, stateOf(device, device.status)]));
  return [
    ...devices.flatMap((device) => judgeDevice(device, world)),
    ...devices.flatMap((device) => parentInUse(device, devices)),
    ...splitGroups(devices),
  ];
}

/**
 * The statuses that follow from who has which device; those that are as they should be are left out.
 *
 * @returns by device id
 */
export function statusesDue(devices: readonly CheckedDevice[]): Map<string, DeviceStatus> {
  const world = new Map(devices.map((device) => [device.address, stateOf(device, dueByClaim(device))]));
  const due = devices.map((device) => {
    return [device, settled(world, world.get(device.address) as DeviceState).status] as const;
  });
  return new Map(due.filter(([device, status]) => device.status !== status).map(([{ id }, status]) => [id, status]));
}

function judgeDevice(device: CheckedDevice, world: ReadonlyMap<Address, DeviceState>): Found[] {
  const { status, claim_id: claimId, claim_status: claimStatus } = device;
  if (claimId === null)
    return [...judgeUnowned(device, world), ...(device.held ? [of('device_held_by_agent', device)] : [])];
  // that the allocation outlives its claim is another finding
  if (!isInUse(status)) return claimStatus === 'released' ? [] : [of('device_not_taken', device)];
  if (dueByClaim(device) !== status) return [of('device_claim_status', device)];
  return isRebound(device) ? [of('device_rebound', device)] : [];
}

function judgeUnowned(device: CheckedDevice, world: ReadonlyMap<Address, DeviceState>): Found[] {
  const { status, lost, missing, pending } = device;
  if (isInUse(status)) return lost ? [] : [of('device_without_owner', device)];
  const due = settled(world, stateOf(device, status)).status;
  const isFree = status === 'available' || status === 'unclaimable' || status === 'unavailable';
  return [
    ...(due === status ? [] : [of('device_relatives', device, { due })]),
    ...(isFree && missing ? [of('device_missing', device)] : []),
    ...(pending ? [of('device_pending', device)] : []),
  ];
}

/** What a device's claim makes of it; what nobody has is free, until its relatives are asked. */
function dueByClaim({ status, claim_id: claimId, claim_status: claimStatus, lost }: CheckedDevice): DeviceStatus {
  if (lost) return status;
  if (claimId === null) return isInUse(status) ? 'available' : status;
  if (claimStatus === 'claimed' || claimStatus === 'allocated') return claimStatus;
  // until it is given back it is what it was
  return isInUse(status) ? status : 'allocated';
}

/** Somebody has taken it from vfio-pci, or a variant of it; of what others bind (`managed: no`), from whatever had it. */
function isRebound({
  claim_status: claimStatus,
  settled: isSettled,
  missing,
  pending,
  driver,
  bound_to: boundTo,
}: CheckedDevice): boolean {
  const isAsBound = isVfioDriver(driver) || (driver !== null && driver === boundTo);
  return claimStatus === 'allocated' && isSettled && !missing && !pending && !isAsBound;
}

function parentInUse(device: CheckedDevice, devices: readonly CheckedDevice[]): Found[] {
  if (!isVirtualFunction({ deviceType: device.device_type }) || device.claim_id === null) return [];
  const parent = devices.find(({ address }) => address === device.parent_address);
  if (!parent?.claim_id) return [];
  return [of('pf_and_vf_in_use', device, { parent: parent.address, other_id: parent.server_id, other: parent.server })];
}

/** One finding for each group that servers share. What is not there, or is another card by now, is in no group. */
function splitGroups(devices: readonly CheckedDevice[]): Found[] {
  const groups = new Map<number, CheckedDevice[]>();
  for (const device of devices) {
    if (device.iommu_group === null || device.claim_id === null || device.missing || device.pending) continue;
    groups.set(device.iommu_group, [...(groups.get(device.iommu_group) ?? []), device]);
  }
  return [...groups].flatMap(([group, members]) => {
    const other = members.find(({ server_id: serverId }) => serverId !== members[0]?.server_id);
    if (!other || !members[0]) return [];
    return [of('iommu_group_split', members[0], { group, other_id: other.server_id, other: other.server })];
  });
}

function of(code: CheckCode extends `check.${infer Word}` ? Word : never, device: CheckedDevice, detail = {}): Found {
  return {
    code: `check.${code}`,
    host_id: device.host_id,
    host: device.host,
    server_id: device.server_id,
    server: device.server,
    claim_id: device.claim_id,
    device_id: device.id,
    address: device.address,
    detail: { status: device.status, claim_status: device.claim_status, driver: device.driver, ...detail },
  };
}

function stateOf(device: CheckedDevice, status: DeviceStatus): DeviceState {
  return {
    address: device.address,
    deviceType: device.device_type,
    parentAddress: device.parent_address,
    status,
    ownerId: device.server_id,
  };
}
