import { compareAddresses, type Address } from './address.js';
import { UNMATCHED } from './device-spec/device-spec.js';
import { isBridge, type DeviceType, type ReportedDevice } from './device.js';
import { protectionText } from './protection.js';

/** How many kinds of a host are told of, and how many devices of each with their address and reason. */
const KINDS_MAX = 32;
const EXAMPLES_MAX = 3;

/** Devices of one kind that a device_spec entry is about, and that the host does not offer all the same. */
export interface WithheldDevices {
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: DeviceType;
  /** Code of the weightiest reason for which the host itself needs them; null: the device_spec says no. */
  readonly protection: string | null;
  readonly count: number;
  /** The first by address; why each is not offered names addresses and interfaces, which are not for everybody. */
  readonly examples: readonly { readonly address: Address; readonly why: string }[];
}

/**
 * What a host keeps back of what its device_spec is about, by kind and cause: what is protected comes first, then in the order of ids.
 * What no entry means, and bridges, are nobody's business.
 */
export function withheldDevices(devices: readonly ReportedDevice[]): WithheldDevices[] {
  const kinds = new Map<string, WithheldDevices & { count: number; examples: WithheldDevices['examples'][number][] }>();
  for (const device of [...devices].filter(isWithheld).sort((a, b) => compareAddresses(a.address, b.address))) {
    const { address, vendorId, productId, deviceType, notOffered } = device;
    const protection = protectionOf(device);
    const key = [protection === null ? 1 : 0, vendorId, productId, deviceType, protection].join(' ');
    const kind = kinds.get(key) ?? { vendorId, productId, deviceType, protection, count: 0, examples: [] };
    kinds.set(key, kind);
    kind.count++;
    if (kind.examples.length < EXAMPLES_MAX) kind.examples.push({ address, why: notOffered ?? '' });
  }
  const inOrder = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1));
  return inOrder.slice(0, KINDS_MAX).map(([, kind]) => kind);
}

function isWithheld(device: ReportedDevice): boolean {
  return device.offer === null && !isBridge(device) && !(device.notOffered ?? UNMATCHED).startsWith(UNMATCHED);
}

/** The device_spec is asked before the protection: a device that both keep back has the words of the device_spec. */
function protectionOf({ protection, notOffered }: ReportedDevice): string | null {
  return protection && notOffered === protectionText(protection) ? (protection.reasons[0]?.code ?? null) : null;
}
