import { compareAddresses, type Address } from './address.js';
import { isBridge, type Protection, type ProtectionReason, type ReportedDevice } from './device.js';

/** Why a host cannot spare a device. Codes are never changed; `virtual_function` and `iommu_group` follow from a relative's reason. */
export type ProtectionCode =
  | 'default_route'
  | 'broker_connection'
  | 'system_disk'
  | 'swap'
  | 'mounted'
  | 'disk_in_use'
  | 'boot_vga'
  | 'console'
  | 'virtual_function'
  | 'iommu_group';

/** What a reader has found out about one device. */
export interface ProtectionFinding {
  readonly address: Address;
  readonly code: Exclude<ProtectionCode, 'virtual_function' | 'iommu_group'>;
  readonly text: string;
}

interface Relative {
  readonly address: Address;
  readonly iommuGroup: number | null;
  readonly parentAddress: Address | null;
  readonly classCode: string;
}

export const PROTECTION_REASONS_MAX = 8;
/** Characters of a reason's text and of its remedy. */
export const PROTECTION_TEXT_MAX = 300;

const DIRECT: Readonly<Record<ProtectionFinding['code'], string>> = {
  default_route: 'move the default route to another interface',
  broker_connection: 'let the agent reach the message broker over another interface',
  system_disk: 'move the system to another disk',
  swap: 'take the swap space out of use with swapoff',
  mounted: 'unmount the file system',
  disk_in_use: 'take the disk out of that volume or array',
  boot_vga: "make another card the firmware's first display",
  console: 'move the console to another device',
};
const WEIGHTS = [...Object.keys(DIRECT), 'virtual_function', 'iommu_group'];

/**
 * Spreads what readers found to the relatives that go along: from a VF to its PF, whose hand-over removes the VF, and to all
 * members of an IOMMU group, which goes whole or not at all. VFs of a protected PF are free: they are made to be given away.
 *
 * An override lifts what a device is protected for itself and for its VFs, also for the rest of its group; what it is
 * protected for by its group is only lifted by overriding the member that causes it.
 *
 * @param overridden addresses that a device_spec entry with `override_protection` names
 * @returns address → protection, only of protected devices; the same findings in any order give the same
 */
export function protectDevices(
  devices: readonly Relative[],
  findings: readonly ProtectionFinding[],
  overridden: ReadonlySet<Address>,
): Map<Address, Protection> {
  const reasons = reasonsOf(devices, findings);
  const groups = new Map<number, Relative>();
  for (const device of [...devices].sort((a, b) => compareAddresses(a.address, b.address))) {
    const causes = reasons.has(device.address) && !overridden.has(device.address) && device.iommuGroup !== null;
    if (causes && !groups.has(device.iommuGroup)) groups.set(device.iommuGroup, device);
  }
  const protections = new Map<Address, Protection>();
  for (const device of devices) {
    const own = reasons.get(device.address) ?? [];
    const along = own.length > 0 && !overridden.has(device.address) ? null : causeIn(groups, device, reasons);
    const all = along ? [...own, along] : own;
    if (all.length === 0) continue;
    const kept = all.sort(byWeight).slice(0, PROTECTION_REASONS_MAX);
    protections.set(device.address, { reasons: kept, overridden: overridden.has(device.address) && along === null });
  }
  return protections;
}

/** What devices are protected for themselves; whoever has only the reasons of a report begins again from these. */
export function findingsIn(
  devices: readonly { readonly address: Address; readonly protection?: Protection }[],
): ProtectionFinding[] {
  return devices.flatMap(({ address, protection }) =>
    (protection?.reasons ?? []).flatMap(({ code, text }) =>
      code === 'virtual_function' || code === 'iommu_group'
        ? []
        : [{ address, code: code as ProtectionFinding['code'], text }],
    ),
  );
}

/** What becomes of an offer: none, with the reason, when the device is protected and nobody has said to give it away. */
export function withoutProtected<Answer extends Pick<ReportedDevice, 'offer' | 'notOffered'>>(
  answer: Answer,
  protection: Protection | undefined,
): Answer | { readonly offer: null; readonly notOffered: string } {
  if (answer.offer === null || !protection || protection.overridden) return answer;
  return { offer: null, notOffered: protectionText(protection) };
}

/** `protected (default_route): carries the default route (eth0 → 0000:01:00.0); move …`: for whoever asks at night. */
export function protectionText({ reasons }: Protection): string {
  const [first] = reasons;
  if (!first) return '';
  const more = reasons.length > 1 ? ` (and ${reasons.length - 1} more)` : '';
  return `protected (${first.code}): it ${first.text}${more}; ${first.remedy}`;
}

function reasonsOf(
  devices: readonly Relative[],
  findings: readonly ProtectionFinding[],
): Map<Address, ProtectionReason[]> {
  const reasons = new Map<Address, ProtectionReason[]>();
  const add = (address: Address, reason: ProtectionReason): void => {
    const known = reasons.get(address) ?? [];
    if (!known.some(({ code, text }) => code === reason.code && text === reason.text)) {
      reasons.set(address, [...known, reason]);
    }
  };
  for (const { address, code, text } of findings) {
    const remedy = `${DIRECT[code] ?? 'free it'}, or ${override(address)}`;
    add(address, { code, text: clip(text), remedy: clip(remedy) });
  }
  const direct = new Map(reasons);
  for (const { address, parentAddress } of devices) {
    const [first] = [...(direct.get(address) ?? [])].sort(byWeight);
    if (parentAddress === null || !first) continue;
    const remedy = `free the VF, or ${override(parentAddress)}`;
    add(parentAddress, { code: 'virtual_function', text: clip(`has the VF ${address}, which ${first.text}`), remedy });
  }
  return reasons;
}

function causeIn(
  groups: ReadonlyMap<number, Relative>,
  device: Relative,
  reasons: ReadonlyMap<Address, readonly ProtectionReason[]>,
): ProtectionReason | null {
  const cause = device.iommuGroup === null ? undefined : groups.get(device.iommuGroup);
  if (!cause || cause.address === device.address || isBridge(device)) return null;
  const [first] = [...(reasons.get(cause.address) ?? [])].sort(byWeight);
  return {
    code: 'iommu_group',
    text: clip(`shares IOMMU group ${device.iommuGroup} with ${cause.address}, which ${first?.text}`),
    remedy: clip(
      `free ${cause.address}, put the card into a slot with an IOMMU group of its own, or ${override(cause.address)}`,
    ),
  };
}

function override(address: Address): string {
  return `take the risk with override_protection in a device_spec entry for exactly ${address}`;
}

function byWeight(a: ProtectionReason, b: ProtectionReason): number {
  return WEIGHTS.indexOf(a.code) - WEIGHTS.indexOf(b.code) || (a.text < b.text ? -1 : a.text > b.text ? 1 : 0);
}

function clip(text: string): string {
  return text.length <= PROTECTION_TEXT_MAX ? text : `${text.slice(0, PROTECTION_TEXT_MAX - 1)}…`;
}
