import { BerthError } from '../../errors.js';
import { clip, isObject, kindOf, placeOf, unknownKey } from '../device-spec/device-spec-fields.js';
import type { Path, Where } from '../device-spec/device-spec-fields.js';
import { parseDeviceSpecs } from '../device-spec/device-spec-reader.js';
import { matchDeviceSpec, type DeviceSpec, type HostContext } from '../device-spec/device-spec.js';
import type { PciDevice } from '../device.js';
import { readSriovTarget, TARGET_KEYS, type SriovTarget } from './sriov-target.js';

/** An entry of `agent.sriov`: which PFs shall have how many VFs. */
export interface SriovDeclaration extends SriovTarget {
  /** Where a person finds it: `config/agent.yaml:12`. */
  readonly where: string;
  /** Which PFs: read as an entry of the whitelist is. */
  readonly pf: DeviceSpec;
}

export const DECLARATIONS_MAX = 1000;
const KEYS_MAX = 64;

/** What may say which PFs are meant; what an entry of the whitelist has beside it is about offering. */
const PF_KEYS: readonly string[] = [
  ...['address', 'devname', 'vendor_id', 'product_id', 'subsystem_vendor_id', 'subsystem_product_id'],
  ...['class', 'driver', 'serial', 'numa_node'],
];

/**
 * Reads an entry of `agent.sriov`, or a list of them. All problems are reported together.
 *
 * @param where as of `parseDeviceSpecs`
 * @throws BerthError `sriov.invalid`; `details.problems` has one text for each problem: place, key, fix
 */
export function parseSriovDeclarations(value: unknown, where: Where): SriovDeclaration[] {
  const problems: string[] = [];
  const entries: [Path, unknown][] = Array.isArray(value)
    ? value.slice(0, DECLARATIONS_MAX).map((entry: unknown, index) => [[index], entry])
    : [[[], value]];
  const declarations = entries.map(([path, entry]) => {
    return readEntry(entry, (way) => placeOf(where, [...path, ...way]), problems);
  });
  if (Array.isArray(value) && value.length > DECLARATIONS_MAX) {
    problems.push(`${placeOf(where, [])}: sriov: ${value.length} entries; at most ${DECLARATIONS_MAX}`);
  }
  if (problems.length > 0) throw new BerthError('sriov.invalid', problems.join('\n'), { details: { problems } });
  return declarations.filter((declaration) => declaration !== null);
}

/** The first entry that means the PF, null when none does. */
export function declarationOf(
  declarations: readonly SriovDeclaration[],
  device: PciDevice,
  host: HostContext,
): SriovDeclaration | null {
  if (device.sriov === null || device.parentAddress !== null) return null;
  return declarations.find(({ pf }) => matchDeviceSpec(pf, device, host)) ?? null;
}

function readEntry(entry: unknown, where: (way: Path) => string, problems: string[]): SriovDeclaration | null {
  const report = (way: Path, text: string): void => void problems.push(`${where(way)}: ${text}`);
  if (!isObject(entry)) {
    report([], `sriov: an entry has to be an object like {"devname": "ens1f0", "vf_count": 8}, not ${kindOf(entry)}`);
    return null;
  }
  const names = Object.keys(entry).slice(0, KEYS_MAX);
  const known = [...PF_KEYS, ...TARGET_KEYS];
  const strange = names.filter((name) => !known.includes(name));
  for (const name of strange) report([name], `${clip(name)}: ${unknownKey(name, known)}`);
  const target = readSriovTarget(entry, report);
  const saysWhich = names.filter((name) => PF_KEYS.includes(name));
  if (saysWhich.length === 0) report([], 'sriov: means no PF; give an address, a devname, or vendor_id and product_id');
  const pf = readPf(Object.fromEntries(saysWhich.map((name) => [name, entry[name]])), where, problems);
  return target && pf && { where: where([]), pf, ...target };
}

/** Always by the strict rules: Nova has no such list. */
function readPf(entry: object, where: (way: Path) => string, problems: string[]): DeviceSpec | null {
  try {
    return parseDeviceSpecs(entry, where, { freeTags: [] })[0] ?? null;
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== 'device_spec.invalid') throw error;
    problems.push(...(error.details['problems'] as string[]));
    return null;
  }
}
