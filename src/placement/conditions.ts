import { isOfKind } from '../pci/alias/alias-match.js';
import { DEVICE_STATUSES, type DeviceStatus } from '../pci/device-state.js';
import { shapeOf } from './host-shape.js';
import type { DeviceRequest } from './request.js';
import type { DeviceReservation, HostSnapshot, SnapshotDevice } from './snapshot.js';

/** A letter for each. */
const LETTERS: ReadonlyMap<DeviceStatus, string> = new Map(
  [...DEVICE_STATUSES, 'deleted' as const].map((status, at) => [status, String.fromCharCode(97 + at)]),
);

/**
 * How the devices of a host are, as far as it matters to one kind of request: hosts with equal texts refuse it for equal
 * reasons. What matters are devices of the kinds that are asked for and what they depend on: who shares their IOMMU
 * group, slot or card, their PF, their VFs.
 */
export class Conditions {
  /** Indexes of the devices that matter, by the number of the shape. */
  private readonly mattering = new Map<number, readonly number[]>();

  constructor(private readonly requests: readonly DeviceRequest[]) {}

  of(host: HostSnapshot): string {
    const { number, model } = shapeOf(host);
    const indexes = this.mattering.get(number) ?? this.matteringOf(model);
    this.mattering.set(number, indexes);
    let text = `${number} `;
    for (const index of indexes) text += textOf(host.devices[index] as SnapshotDevice);
    return text;
  }

  private matteringOf({ devices, units, groups }: HostSnapshot): number[] {
    const specs = this.requests.flatMap((request) => request.specs);
    const asked = devices.filter((device) => specs.some((spec) => isOfKind(spec, device)));
    const related = asked.flatMap(({ address, parentAddress }) => [
      ...(units.get(address)?.members ?? []),
      ...(groups.slot.get(address)?.members ?? []),
      ...(groups.card.get(address)?.members ?? []),
      parentAddress,
    ]);
    const direct = new Set([...asked.map(({ address }) => address), ...related]);
    return [...devices.keys()].filter((index) => {
      const { address, parentAddress } = devices[index] as SnapshotDevice;
      return direct.has(address) || (parentAddress !== null && direct.has(parentAddress));
    });
  }
}

/** All that reasons tell of it. */
function keptText({ until, isOpen, isRelative, isOutside }: DeviceReservation): string {
  return `${until}${isOpen ? '' : ' later'}${isRelative ? ' relative' : ''}${isOutside ? ' outside' : ''}`;
}

function textOf({ status, missing, owner, sharesUsed, reservation }: SnapshotDevice): string {
  const kept = reservation ? `<${keptText(reservation)}>` : '';
  return `${LETTERS.get(status)}${missing ? '!' : ''}${owner ? '+' : ''}${sharesUsed ?? ''}${kept}`;
}
