import { suggestion } from '../../pci/suggest.js';
import type { HostWishes } from '../../placement/request.js';
import { invalid } from './extra-spec-errors.js';

type ExtraSpecs = Readonly<Record<string, string>>;

/** What a flavor asks of a host beside room and devices, and what its servers are worth. */
export interface HostDemands {
  /** null: shared. */
  readonly cpuPolicy: 'dedicated' | null;
  readonly priority: number | null;
  readonly preemptible: boolean | null;
  /** What is not asked is left out. */
  readonly host: Pick<HostWishes, 'requiredTraits' | 'forbiddenTraits' | 'extraSpecs'>;
}

export const PRIORITY_MAX = 1000;
/** As Placement has them. */
export const TRAIT = /^[A-Z0-9_]{1,255}$/;

const CPU_POLICY_KEY = 'hw:cpu_policy';
const TRAIT_KEY = 'trait:';
const PRIORITY_KEY = 'berth:priority';
const PREEMPTIBLE_KEY = 'berth:preemptible';
const BERTH_KEYS = [PRIORITY_KEY, PREEMPTIBLE_KEY];
/** Keys without a scope are looked at by both filters. Source: Nova's `AggregateInstanceExtraSpecsFilter`, `ComputeCapabilitiesFilter`. */
const FILTER_SCOPES = ['aggregate_instance_extra_specs', 'capabilities'];

/** @throws BerthError `flavor.invalid`; the message names the key */
export function readHostDemands(extraSpecs: ExtraSpecs): HostDemands {
  const typo = Object.keys(extraSpecs).find((key) => key.startsWith('berth:') && !BERTH_KEYS.includes(key));
  if (typo !== undefined) throw invalid(typo, `is not known${suggestion(typo, BERTH_KEYS)}`);
  const required = traitsOf(extraSpecs, 'required');
  const forbidden = traitsOf(extraSpecs, 'forbidden');
  const forFilters = Object.entries(extraSpecs)
    .filter(([key]) => !key.includes(':') || FILTER_SCOPES.includes(key.slice(0, key.indexOf(':'))))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    cpuPolicy: readCpuPolicy(extraSpecs[CPU_POLICY_KEY]),
    priority: readPriority(extraSpecs[PRIORITY_KEY]),
    preemptible: readPreemptible(extraSpecs[PREEMPTIBLE_KEY]),
    host: {
      ...(required.length === 0 ? {} : { requiredTraits: required }),
      ...(forbidden.length === 0 ? {} : { forbiddenTraits: forbidden }),
      ...(forFilters.length === 0 ? {} : { extraSpecs: Object.fromEntries(forFilters) }),
    },
  };
}

/** In name order, so that equal flavors make equal requests. */
function traitsOf(extraSpecs: ExtraSpecs, wanted: 'required' | 'forbidden'): string[] {
  return Object.entries(extraSpecs)
    .filter(([key]) => key.startsWith(TRAIT_KEY))
    .filter(([key, value]) => traitWord(key, value) === wanted)
    .map(([key]) => key.slice(TRAIT_KEY.length))
    .sort();
}

function traitWord(key: string, value: string): 'required' | 'forbidden' {
  if (!TRAIT.test(key.slice(TRAIT_KEY.length))) {
    throw invalid(key, 'a trait has capital letters, digits and _, like trait:CUSTOM_FAST_NIC');
  }
  if (value === 'required' || value === 'forbidden') return value;
  throw invalid(key, `has to be required or forbidden${suggestion(value, ['required', 'forbidden'])}`);
}

/** Source: Nova's `hw:cpu_policy`; its `mixed` is not there. */
function readCpuPolicy(value: string | undefined): 'dedicated' | null {
  if (value === undefined || value === 'shared') return null;
  if (value === 'dedicated') return value;
  throw invalid(CPU_POLICY_KEY, `has to be shared or dedicated${suggestion(value, ['shared', 'dedicated'])}`);
}

function readPriority(value: string | undefined): number | null {
  if (value === undefined) return null;
  if (/^-?\d{1,4}$/.test(value) && Math.abs(Number(value)) <= PRIORITY_MAX) return Number(value);
  throw invalid(PRIORITY_KEY, `has to be a whole number from -${PRIORITY_MAX} to ${PRIORITY_MAX}`);
}

function readPreemptible(value: string | undefined): boolean | null {
  if (value === undefined) return null;
  if (value === 'true' || value === 'false') return value === 'true';
  throw invalid(PREEMPTIBLE_KEY, 'has to be true or false');
}
