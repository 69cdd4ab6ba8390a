import { messageOf } from '../../errors.js';
import type { AliasRequest } from '../../pci/alias/alias-request.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import { parseAliasRequestAs, resolveNumaPolicyAs } from '../../pci/dialect-readers.js';
import type { Dialect } from '../../pci/dialect.js';
import { suggestion } from '../../pci/suggest.js';
import { DEVICES_PER_SERVER_MAX, type GuestCell } from '../../placement/request.js';
import { parseTopology, type TopologyWish } from '../../placement/topology-text.js';
import { fieldError, invalid } from './extra-spec-errors.js';
import { assertCellForms, NODES_KEY, readGuestCells } from './guest-cells.js';
import { type HostDemands, readHostDemands } from './host-demands.js';

export type ExtraSpecs = Readonly<Record<string, string>>;

/** What Berth reads out of a flavor's extra specs; all other keys are kept as they are. */
export interface FlavorDemands extends HostDemands {
  readonly devices: readonly AliasRequest[];
  readonly numaPolicy: NumaPolicy | null;
  /** null: the guest has no NUMA topology of its own. */
  readonly guestCells: readonly GuestCell[] | null;
  /** How the devices have to lie to each other; the names are not looked up yet. */
  readonly topology: readonly TopologyWish[];
}

const ALIAS_KEY = 'pci_passthrough:alias';
export const TOPOLOGY_KEY = 'pci_passthrough:topology';
const POLICY_KEY = 'hw:pci_numa_affinity_policy';

export const EXTRA_SPECS_MAX = 128;
const TEXT_LENGTH_MAX = 255;
const KEY = /^[a-zA-Z0-9_.:\- ]{1,255}$/;
const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u;

/**
 * Checks and reads extra specs. Rules: Nova's `hardware.py` (NUMA) and flavor API (keys, alias counts).
 *
 * @param size of the flavor: what the guest's NUMA nodes are cut from
 * @throws BerthError `flavor.invalid`, `numa_policy.invalid`; the message names the key
 */
export function readExtraSpecs(
  extraSpecs: ExtraSpecs,
  size: { readonly vcpus: number; readonly ramMb: number },
  dialect: Dialect,
): FlavorDemands {
  return { ...readAllButCells(extraSpecs, dialect), guestCells: readGuestCells(extraSpecs, size) };
}

/**
 * As {@link readExtraSpecs}, but each key by itself: clients of Nova set one after the other, and what does not go together is
 * found when a server is asked for.
 */
export function readEachSpec(extraSpecs: ExtraSpecs, dialect: Dialect): Omit<FlavorDemands, 'guestCells'> {
  const demands = readAllButCells(extraSpecs, dialect);
  assertCellForms(extraSpecs);
  return demands;
}

function readAllButCells(extraSpecs: ExtraSpecs, dialect: Dialect): Omit<FlavorDemands, 'guestCells'> {
  assertForm(extraSpecs);
  return {
    devices: readDevices(extraSpecs[ALIAS_KEY], dialect),
    numaPolicy: readPolicy(extraSpecs[POLICY_KEY], dialect),
    topology: readTopology(extraSpecs[TOPOLOGY_KEY]),
    ...readHostDemands(extraSpecs),
  };
}

function assertForm(extraSpecs: ExtraSpecs): void {
  const entries = Object.entries(extraSpecs);
  if (entries.length > EXTRA_SPECS_MAX) {
    throw invalid('', `${entries.length} extra specs; a flavor has at most ${EXTRA_SPECS_MAX}`);
  }
  for (const [key, value] of entries) {
    if (!KEY.test(key) || key === '__proto__') {
      throw invalid(key, 'a key has 1 to 255 letters, digits and the characters _ - . : and blank');
    }
    if (typeof value !== 'string') throw invalid(key, 'the value has to be a text in quotes');
    if (value.length > TEXT_LENGTH_MAX && key !== ALIAS_KEY && key !== TOPOLOGY_KEY) {
      throw invalid(key, `the value has ${value.length} characters; at most ${TEXT_LENGTH_MAX}`);
    }
    if (!PLAIN_TEXT.test(value)) throw invalid(key, 'the value has a control character in it');
    assertKnownKey(key);
  }
}

/** A mistyped key of ours would be kept and ignored: the server would land anywhere. */
function assertKnownKey(key: string): void {
  const ours = [ALIAS_KEY, TOPOLOGY_KEY, POLICY_KEY, NODES_KEY];
  if (ours.includes(key) || !/^(?:pci_passthrough|hw:pci_|hw:numa_(?!mempolicy))/.test(key)) return;
  if (/^hw:numa_(?:cpus|mem)\.\d{1,3}$/.test(key)) return;
  throw invalid(key, `is not known${suggestion(key, ours)}`);
}

function readDevices(text: string | undefined, dialect: Dialect): readonly AliasRequest[] {
  if (text === undefined) return [];
  const devices = asFlavorProblem(ALIAS_KEY, () => parseAliasRequestAs(dialect, text));
  const count = devices.reduce((sum, device) => sum + device.count, 0);
  if (count > DEVICES_PER_SERVER_MAX) {
    throw invalid(ALIAS_KEY, `asks for ${count} devices; a server has at most ${DEVICES_PER_SERVER_MAX}`);
  }
  return devices;
}

function readTopology(text: string | undefined): readonly TopologyWish[] {
  return text === undefined ? [] : asFlavorProblem(TOPOLOGY_KEY, () => parseTopology(text));
}

function asFlavorProblem<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw fieldError(
      'flavor.invalid',
      key,
      messageOf(cause).replace(/^(?:pci_passthrough:alias|topology): /, ''),
      cause,
    );
  }
}

function readPolicy(text: string | undefined, dialect: Dialect): NumaPolicy | null {
  if (text === undefined) return null;
  if (text === '' && dialect === 'nova') return null;
  if (text === '') throw invalid(POLICY_KEY, 'is empty; give a policy, or remove the key');
  try {
    return resolveNumaPolicyAs(dialect, { flavor: text, image: null, alias: null });
  } catch (cause) {
    throw fieldError(
      'numa_policy.invalid',
      POLICY_KEY,
      messageOf(cause).replace(`extra spec ${POLICY_KEY}: `, ''),
      cause,
    );
  }
}
