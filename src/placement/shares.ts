import { aliasMatches } from '../pci/alias/alias-match.js';
import type { ChosenDevice, Reason } from './decision.js';
import { restOf } from './host-stock.js';
import { requestPhrase, type DeviceRequest, type PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';
import { takingsOf } from './takings.js';

/** The request for a share of a device; a server has at most one. */
export function shareRequestOf(request: Pick<PlacementRequest, 'devices'>): DeviceRequest | undefined {
  return request.devices.find(({ share }) => share !== undefined);
}

/** The request without its share: what is left to choose whole devices for. */
export function withoutShare<T extends Pick<PlacementRequest, 'devices'>>(request: T): T {
  const devices = request.devices.map((asked): DeviceRequest => {
    const { share, ...whole } = asked;
    return share === undefined ? asked : { ...whole, count: 0, specs: [] };
  });
  return { ...request, devices };
}

/** Devices of a host that could give the share that is asked for, best first under the request's policy. NUMA policies are left aside. */
export function shareChoices(
  host: HostSnapshot,
  request: Pick<PlacementRequest, 'vcpus' | 'devices'>,
  policy: PlacementPolicy,
): (ChosenDevice & { readonly share: number })[] {
  const requestIndex = request.devices.findIndex(({ share }) => share !== undefined);
  const { alias, share } = request.devices[requestIndex] as DeviceRequest;
  return takingsOf(host, request, policy).flatMap(({ sharePlace }) => {
    if (sharePlace === null || share === undefined) return [];
    const { id, address } = host.devices[sharePlace] as SnapshotDevice;
    return [{ deviceId: id, address, alias, requestIndex, share }];
  });
}

/** The host with a share given out. */
export function withShareUsed(host: HostSnapshot, address: string, thousandths: number): HostSnapshot {
  return {
    ...host,
    devices: host.devices.map((device) => (device.address === address ? plusShare(device, thousandths) : device)),
  };
}

/** The device with so much more of it given out; or less. */
export function plusShare({ sharesUsed: used = 0, ...device }: SnapshotDevice, thousandths: number): SnapshotDevice {
  const sharesUsed = used + thousandths;
  return sharesUsed === 0 ? device : { ...device, sharesUsed };
}

/** How many devices of a host could give the share. */
export function shareSupply(host: HostSnapshot, { specs, share = 0 }: DeviceRequest): number {
  return host.devices.filter((device) => restOf(host, device) >= share && aliasMatches(specs, device)).length;
}

/** Why no device of the host gives the share. Safe for everybody. */
export function shareReason(host: HostSnapshot, request: DeviceRequest): Reason {
  const { specs, share = 0, alias } = request;
  const matching = host.devices.filter((device) => aliasMatches(specs, device));
  const most = matching.reduce((left, device) => Math.max(left, restOf(host, device)), 0);
  const details = { alias, share, matching: matching.length, most };
  if (matching.length === 0) {
    return { code: 'device.none_matching', message: `no device ${requestPhrase(request)}`, details };
  }
  const message = `${share} thousandths of a device ${requestPhrase(request)} wanted, no device has more than ${most} left`;
  return { code: 'device.share_too_large', message, details };
}
