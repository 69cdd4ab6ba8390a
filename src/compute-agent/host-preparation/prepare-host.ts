import { BerthError } from '../../errors.js';
import type { AliasDefinition } from '../../pci/alias/alias.js';
import type { DeviceSpec } from '../../pci/device-spec/device-spec.js';
import { scanHost } from '../sysfs-scanner.js';
import { moduleName, tagName } from './checked-words.js';
import type { Preparation } from './preparation.js';
import { merged, wantedByAliases, wantedBySpecs, type WantedDevices } from './wanted-devices.js';
import { wantedOnHost, type WantedOnHost } from './wanted-on-host.js';

export interface PreparationRequest {
  readonly cpu: string;
  /** Of the configuration. */
  readonly aliases: readonly AliasDefinition[];
  readonly aliasNames: readonly string[];
  /** null: no whitelist was named. */
  readonly deviceSpecs: readonly DeviceSpec[] | null;
  /** The host to look at; null: the files are made without one, for many hosts. */
  readonly host: { readonly sysfsRoot: string; readonly procRoot: string } | null;
  readonly drivers: readonly string[];
  readonly blacklist: readonly string[];
  readonly tag: string;
}

/** Drivers that come with Linux for cards of a maker, by vendor id: for files that are made without looking at a host. */
const DRIVERS_BY_VENDOR: Readonly<Record<string, readonly string[]>> = {
  '10de': ['nouveau', 'nvidia', 'nvidiafb', 'snd_hda_intel'],
  '1002': ['amdgpu', 'radeon', 'snd_hda_intel'],
};
const DRIVERS_MAX = 64;
const UNSEEN =
  'The files were made without looking at a host: every device with these ids is taken on every host that gets them. With --sysfs-root /sys, on a host, its own devices are looked up.';

/**
 * What the files are to bring about, every text checked.
 *
 * @throws BerthError `request.invalid`, `alias.unknown`; what the scan of a host throws
 */
export async function preparationOf(request: PreparationRequest): Promise<Preparation> {
  const { aliasNames, deviceSpecs, host } = request;
  const cpu = cpuOf(request.cpu);
  if (aliasNames.length === 0 && deviceSpecs === null) {
    throw new BerthError('request.invalid', 'say which devices: --alias NAME or --device-spec FILE');
  }
  const byAlias = wantedByAliases(request.aliases, aliasNames);
  const wanted = host ? await onHost(host, byAlias, deviceSpecs) : unseen(byAlias, deviceSpecs);
  return {
    cpu,
    ids: wanted.ids,
    addresses: wanted.addresses,
    drivers: modules([...wanted.drivers, ...request.drivers]),
    blacklist: modules(request.blacklist),
    tag: tagName(request.tag),
    notes: wanted.notes,
  };
}

function unseen(byAlias: WantedDevices, deviceSpecs: readonly DeviceSpec[] | null): WantedOnHost {
  const wanted = merged([byAlias, ...(deviceSpecs ? [wantedBySpecs(deviceSpecs)] : [])]);
  const drivers = wanted.ids.flatMap(({ id }) => DRIVERS_BY_VENDOR[id.slice(0, 4)] ?? []);
  return { ...wanted, notes: [UNSEEN, ...wanted.notes], drivers };
}

async function onHost(
  { sysfsRoot, procRoot }: NonNullable<PreparationRequest['host']>,
  byAlias: WantedDevices,
  deviceSpecs: readonly DeviceSpec[] | null,
): Promise<WantedOnHost> {
  const resources = { vcpus: null, memoryMb: null, diskGb: 0 };
  const about = { kernel: 'simulated', readOnly: false, resources, stateDir: '/' } as const; // its disk is no matter here
  const { devices } = await scanHost({ sysfsRoot, procRoot, deviceSpecs: deviceSpecs ?? [], ...about });
  const ids = new Set(byAlias.ids.map(({ id }) => id));
  const wanted = wantedOnHost(
    sysfsRoot,
    devices,
    ({ offer, vendorId, productId }) => offer !== null || ids.has(`${vendorId}:${productId}`),
  );
  if (wanted.ids.length === 0 && wanted.addresses.length === 0) {
    throw new BerthError('request.invalid', `${sysfsRoot}: this host has no device that was asked for`);
  }
  return { ...wanted, notes: [...byAlias.notes, ...wanted.notes] };
}

function cpuOf(text: string): Preparation['cpu'] {
  if (text === 'intel' || text === 'amd') return text;
  throw new BerthError('request.invalid', '--cpu: intel or amd');
}

function modules(names: readonly string[]): string[] {
  const unique = [...new Set(names.map(moduleName))].sort();
  if (unique.length > DRIVERS_MAX)
    throw new BerthError('request.invalid', `${unique.length} drivers; at most ${DRIVERS_MAX}`);
  return unique;
}
