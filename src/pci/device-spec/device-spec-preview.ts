import { canonicalJson } from '../canonical-json.js';
import { coverDeviceSpecs, findingsOf } from './device-spec-coverage.js';
import type { EntryCoverage, SpecFinding } from './device-spec-coverage.js';
import { hostContext, matchDeviceSpec, offerDevice, overriddenAddresses } from './device-spec.js';
import type { DeviceSpec, HostContext } from './device-spec.js';
import { asUnbound } from '../device.js';
import type { Offer, PciDevice, ReportedDevice } from '../device.js';
import { findingsIn, protectDevices, withoutProtected } from '../protection.js';

/** A server, as much of it as is told. */
export interface Holder {
  readonly id: string;
  readonly name: string;
}

/** A device of a host's last scan, and the server that holds it. */
export interface ScannedDevice {
  readonly device: ReportedDevice;
  readonly holder: Holder | null;
}

/** What becomes of the offer of one device. */
export interface OfferChange {
  readonly device: ReportedDevice;
  readonly holder: Holder | null;
  /** null: it is not offered now. */
  readonly before: Offer | null;
  /** null: it would not be offered. */
  readonly after: Offer | null;
  /** Why it would not be offered, what would be different, or why that is not known. */
  readonly reason: string;
  /** What the host needs it for, see `ProtectionCode`; empty when it does not. */
  readonly protection: readonly string[];
}

/** What another whitelist would make of a host. A device whose offer stays as it is stands in none of the lists. */
export interface WhitelistPreview {
  readonly coverage: readonly EntryCoverage[];
  readonly findings: readonly SpecFinding[];
  readonly added: readonly OfferChange[];
  readonly removed: readonly OfferChange[];
  readonly changed: readonly OfferChange[];
  /** Bound by an agent that does not tell how they were before: entries by driver or devname may mean them, or not. */
  readonly uncertain: readonly OfferChange[];
  /** Entries mean them, and they are not offered before or after, because the host itself needs them. */
  readonly protected: readonly OfferChange[];
}

/**
 * Holds a whitelist against the last scan of a host, without doing anything.
 *
 * @param host  of a read-only one nothing is offered, whatever the whitelist
 */
export function previewDeviceSpecs(
  specs: readonly DeviceSpec[],
  scan: readonly ScannedDevice[],
  host: { readonly readOnly: boolean },
): WhitelistPreview {
  const devices = scan.map(({ device }) => device);
  const coverage = coverDeviceSpecs(specs, devices);
  const context = hostContext(devices.map(asUnbound));
  const masked = new Set(scan.filter(isMasked).map(({ device }) => device.address));
  const protections = protectDevices(devices, findingsIn(devices), overriddenAddresses(specs));
  const lists = { added: [], removed: [], changed: [], uncertain: [], protected: [] } as Record<Fate, OfferChange[]>;
  for (const { device, holder } of scan) {
    const protection = protections.get(device.address);
    const meant = offerThen(specs, device, context, host.readOnly);
    const answer = withoutProtected(meant, protection);
    const doubt = host.readOnly ? null : doubtOf(specs, device, context, masked);
    const [fate, reason] =
      doubt === null ? fateOf(device.offer, answer, meant.offer !== null) : (['uncertain', doubt] as const);
    const codes = protection?.reasons.map(({ code }) => code) ?? [];
    const change = { device, holder, before: device.offer, after: answer.offer, reason, protection: codes };
    if (fate !== null) lists[fate].push(change);
  }
  return { coverage, findings: findingsOf(specs, coverage), ...lists };
}

type Fate = 'added' | 'removed' | 'changed' | 'uncertain' | 'protected';
type Answer = Pick<ReportedDevice, 'offer' | 'notOffered'>;

function offerThen(specs: readonly DeviceSpec[], device: ReportedDevice, host: HostContext, readOnly: boolean): Answer {
  if (readOnly) return { offer: null, notOffered: 'the agent of this host only looks: read_only is set' };
  return offerDevice(specs, asUnbound(device), host);
}

function fateOf(before: Offer | null, { offer: after, notOffered }: Answer, isMeant: boolean): [Fate | null, string] {
  if (!before && !after && isMeant) return ['protected', notOffered ?? ''];
  if (!before) return [after ? 'added' : null, ''];
  if (!after) return ['removed', notOffered ?? ''];
  const differences = differencesOf(before, after);
  return differences.length === 0 ? [null, ''] : ['changed', differences.join(', ')];
}

/** The names of what differs; the number of the entry is not a difference. */
function differencesOf(before: Offer, after: Offer): string[] {
  const names = [...new Set([...Object.keys(before.tags), ...Object.keys(after.tags)])].sort();
  const tags = names.filter((name) => !isSame(valueOf(before, name), valueOf(after, name)));
  return [
    ...tags.map((name) => `tags.${name}`),
    ...(before.resourceClass === after.resourceClass ? [] : ['resource_class']),
    ...(isSame(before.traits, after.traits) ? [] : ['traits']),
  ];
}

/** A tag that is null is another thing than none. */
function valueOf(offer: Offer, name: string): unknown {
  return Object.hasOwn(offer.tags, name) ? { value: offer.tags[name] } : null;
}

function isSame(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** Its native driver and interfaces are gone, and the agent did not tell them. */
function isMasked({ device, holder }: ScannedDevice): boolean {
  return holder !== null && device.driver === 'vfio-pci' && !device.original;
}

/** Why it is not known what the whitelist makes of the device; null when it is. */
function doubtOf(
  specs: readonly DeviceSpec[],
  device: PciDevice,
  host: HostContext,
  masked: ReadonlySet<string>,
): string | null {
  const self = masked.has(device.address);
  if (!self && !masked.has(device.parentAddress ?? '')) return null;
  for (const [entry, spec] of specs.entries()) {
    if (matchDeviceSpec(spec, device, host) && !asksHidden(spec, self)) return null;
    if (asksHidden(spec, self) && matchDeviceSpec({ ...spec, devname: null, driver: null }, device, host)) {
      const key = spec.devname === null ? 'driver' : 'devname';
      return `entry ${entry + 1} (${spec.where}) asks for a ${key}; the agent that bound the card does not tell which it had`;
    }
  }
  return null;
}

/** Of a bound PF's VF the driver is known; the name of the PF's interface is not. */
function asksHidden(spec: DeviceSpec, self: boolean): boolean {
  return spec.devname !== null || (self && spec.driver !== null);
}
