import { suggestion } from '../../../pci/suggest.js';
import { invalid } from '../../flavors/extra-spec-errors.js';
import type { ExtraSpecs } from '../../flavors/extra-specs.js';
import { booleanOf } from '../fields.js';

/** What a value has to be: a whole number within bounds, a boolean, one of some words, or of a form. */
type Rule =
  { readonly min: number; readonly max?: number } | 'integer' | 'boolean' | 'text' | readonly string[] | RegExp;

const COUNT: Rule = { min: 1 };
const AMOUNT: Rule = { min: 0 };
const CPUS = /^\^?\d+(?:-\d+)?(?:,\^?\d+(?:-\d+)?)*$/;
const LEVELS = ['custom', 'high', 'normal', 'low'];

/** What Nova 26 knows of its own namespaces; `#` stands for a number. What Berth reads itself it has checked already. */
const RULES: Readonly<Record<string, Rule>> = {
  'accel:device_profile': 'text',
  ...ofNamespace('hw', {
    ...all(['cpu_realtime', 'hide_hypervisor_id', 'locked_memory', 'boot_menu', 'pmu'], 'boolean'),
    ...all(['vif_multiqueue_enabled', 'mem_encryption', 'ephemeral_encryption'], 'boolean'),
    ...all(['cpu_realtime_mask', 'cpu_dedicated_mask', 'numa_cpus.#'], CPUS),
    ...all(['numa_nodes', 'cpu_sockets', 'cpu_cores', 'cpu_threads', 'numa_mem.#'], COUNT),
    ...all(['max_cpu_sockets', 'max_cpu_cores', 'max_cpu_threads'], COUNT),
    cpu_policy: ['dedicated', 'shared', 'mixed'],
    cpu_thread_policy: ['prefer', 'isolate', 'require'],
    emulator_threads_policy: ['isolate', 'share'],
    ephemeral_encryption_format: ['plain', 'luks', 'luksv2'],
    mem_page_size: /^(?:large|small|any|\d+(?:[kKMGT]i?)?(?:b|bit|B)?)$/,
    pci_numa_affinity_policy: ['required', 'preferred', 'legacy', 'socket'],
    pmem: /^[a-zA-Z0-9_]+(?:,[a-zA-Z0-9_]+)*,?$/,
    serial_port_count: AMOUNT,
    tpm_model: ['tpm-tis', 'tpm-crb'],
    tpm_version: ['1.2', '2.0'],
    viommu_model: ['intel', 'smmuv3', 'virtio', 'auto'],
    watchdog_action: ['none', 'pause', 'poweroff', 'reset', 'disabled'],
  }),
  ...ofNamespace('hw_rng', { allowed: 'boolean', rate_bytes: AMOUNT, rate_period: AMOUNT }),
  ...ofNamespace('hw_video', { ram_max_mb: AMOUNT }),
  ...ofNamespace('os', {
    secure_boot: ['disabled', 'required'],
    resolution: ['1024x768', '1280x1024', '1600x1200', '1920x1200', '2560x1600', '3840x2160'],
    monitors: { min: 1, max: 8 },
    vram: ['64', '128', '256', '512', '1024'],
  }),
  ...ofNamespace('quota', {
    ...shares('cpu'),
    ...shares('memory'),
    ...shares('disk_io'),
    ...shares('vif'),
    ...all(['cpu_shares', 'cpu_period'], AMOUNT),
    cpu_quota: 'integer',
    ...all(['disk_read_bytes_sec', 'disk_write_bytes_sec', 'disk_total_bytes_sec'], AMOUNT),
    ...all(['disk_read_iops_sec', 'disk_write_iops_sec', 'disk_total_iops_sec'], AMOUNT),
    ...all(['vif_inbound_average', 'vif_inbound_peak', 'vif_inbound_burst'], AMOUNT),
    ...all(['vif_outbound_average', 'vif_outbound_peak', 'vif_outbound_burst'], AMOUNT),
  }),
};

const NAMESPACES: ReadonlySet<string> = new Set(Object.keys(RULES).map(namespaceOf));

/**
 * Refuses keys that Nova's namespaces do not have, and values that are not of their kind: Nova does from 2.86 on. Keys of other
 * namespaces are anybody's own.
 *
 * @throws BerthError `flavor.invalid`
 */
export function assertKnownSpecs(extraSpecs: ExtraSpecs): void {
  for (const [key, value] of Object.entries(extraSpecs)) {
    if (!NAMESPACES.has(namespaceOf(key))) continue;
    const rule = RULES[key.replace(/(?<=\.)\d+$/, '#')];
    if (rule === undefined) throw invalid(key, `is not known${suggestion(key, Object.keys(RULES))}`);
    const problem = problemOf(String(value), rule);
    if (problem !== null) throw invalid(key, problem);
  }
}

function problemOf(value: string, rule: Rule): string | null {
  if (rule === 'text') return null;
  if (rule === 'boolean') return typeof booleanOf(value.trim()) === 'boolean' ? null : 'has to be true or false';
  if (rule === 'integer') return /^-?\d{1,18}$/.test(value) ? null : 'has to be a whole number';
  if (rule instanceof RegExp) return rule.test(value) ? null : `"${value.slice(0, 60)}" is not of the form it has`;
  if ('includes' in rule) {
    return rule.includes(value) ? null : `has to be one of ${rule.join(', ')}${suggestion(value, rule)}`;
  }
  const { min, max = Number.MAX_SAFE_INTEGER } = rule;
  if (/^\d{1,16}$/.test(value) && Number(value) >= min && Number(value) <= max) return null;
  return `has to be a whole number, ${max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`}`;
}

function namespaceOf(key: string): string {
  return key.includes(':') ? key.slice(0, key.indexOf(':')) : '';
}

function ofNamespace(name: string, rules: Readonly<Record<string, Rule>>): Record<string, Rule> {
  return Object.fromEntries(Object.entries(rules).map(([key, rule]) => [`${name}:${key}`, rule]));
}

function all(keys: readonly string[], rule: Rule): Record<string, Rule> {
  return Object.fromEntries(keys.map((key) => [key, rule]));
}

/** VMware's words for a share of something. */
function shares(what: string): Record<string, Rule> {
  return {
    ...{ [`${what}_limit`]: AMOUNT, [`${what}_reservation`]: 'integer' },
    ...{ [`${what}_shares_level`]: LEVELS, [`${what}_shares_share`]: AMOUNT },
  };
}
