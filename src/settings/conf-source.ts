import { isObject, shown } from '../pci/device-spec/device-spec-fields.js';
import { didYouMean } from '../pci/suggest.js';
import { definitionOf, giveSetting } from './gathered.js';
import type { Gathered, WhitelistName } from './gathered.js';
import { readLocatedJson } from './located-json.js';
import type { LocatedJson } from './located-json.js';
import { parseOsloConfig } from './oslo-config.js';
import type { OsloOption } from './oslo-config.js';

interface ConfFile {
  readonly name: string;
  readonly options: readonly OsloOption[];
  readonly gathered: Gathered;
}

const MB_PER_GB = 1024;

type Take = (file: ConfFile, option: OsloOption) => void;

/** What Berth takes from a nova.conf or zun.conf: `section.option`. Everything else in such a file is passed over. */
const OPTIONS: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['pci.device_spec', (file, option) => takeWhitelist(file, option, 'device_spec')],
  ['pci.passthrough_whitelist', (file, option) => takeWhitelist(file, option, 'passthrough_whitelist')],
  ['DEFAULT.pci_passthrough_whitelist', (file, option) => takeWhitelist(file, option, 'pci_passthrough_whitelist')],
  ['pci.alias', takeAlias],
  ['DEFAULT.pci_alias', takeAlias],
  ['filter_scheduler.enabled_filters', takeFilters],
  ['DEFAULT.scheduler_default_filters', takeOldFilters],
  ...['max_instances_per_host', 'max_io_ops_per_host'].flatMap((key): [string, Take][] => [
    [`filter_scheduler.${key}`, takeNumber],
    [`DEFAULT.${key}`, takeNumber],
  ]),
  ['filter_scheduler.shuffle_best_same_weighed_hosts', takeTieBreak],
  ...['cpu', 'ram', 'disk'].map((what): [string, Take] => [`DEFAULT.${what}_allocation_ratio`, takeRatio]),
  ['DEFAULT.reserved_host_cpus', (file, option) => takeReserved(file, option, 'vcpus', 1)],
  ['DEFAULT.reserved_host_memory_mb', (file, option) => takeReserved(file, option, 'memory_mb', 1)],
  ['DEFAULT.reserved_host_disk_mb', (file, option) => takeReserved(file, option, 'disk_gb', MB_PER_GB)],
]);

/** Nova's option → the weigher. Older files have them in DEFAULT. */
const MULTIPLIERS: ReadonlyMap<string, string> = new Map([
  ['ram_weight_multiplier', 'RAMWeigher'],
  ['cpu_weight_multiplier', 'CPUWeigher'],
  ['disk_weight_multiplier', 'DiskWeigher'],
  ['pci_weight_multiplier', 'PCIWeigher'],
  ['io_ops_weight_multiplier', 'IoOpsWeigher'],
  ['build_failure_weight_multiplier', 'BuildFailureWeigher'],
  ['soft_affinity_weight_multiplier', 'ServerGroupSoftAffinityWeigher'],
  ['soft_anti_affinity_weight_multiplier', 'ServerGroupSoftAntiAffinityWeigher'],
]);

/** Options that people put into a section where nobody reads them, or name as some guides do → where they belong. */
const MISPLACED: ReadonlyMap<string, string> = new Map([
  ['pci.pci_passthrough_whitelist', '[pci] passthrough_whitelist'],
  ['pci.pci_alias', '[pci] alias'],
  ['pci.dev_spec', '[pci] device_spec'],
  ['DEFAULT.device_spec', '[pci] device_spec'],
  ['DEFAULT.passthrough_whitelist', '[pci] passthrough_whitelist'],
  ['DEFAULT.alias', '[pci] alias'],
]);

/** Options of Nova's [pci] that change nothing here. */
const PASSED_OVER: ReadonlySet<string> = new Set(['report_in_placement']);
const PCI_NAMES = ['device_spec', 'passthrough_whitelist', 'alias'];
const OLD_NAMES = ['pci_passthrough_whitelist', 'pci_alias'];

/** Reads what concerns PCI out of a nova.conf or zun.conf, as it is. */
export function gatherConf(name: string, text: string, gathered: Gathered): void {
  const { options, problems } = parseOsloConfig(text);
  for (const problem of problems) gathered.problems.push(`${name}:${problem.line}: ${problem.text}`);
  const file: ConfFile = { name, options, gathered };
  for (const option of options) gatherOption(file, option);
}

function gatherOption(file: ConfFile, option: OsloOption): void {
  const full = fullName(option);
  const take = OPTIONS.get(full);
  if (take) return take(file, option);
  const weigher = MULTIPLIERS.get(option.key);
  if (weigher !== undefined && /^(?:DEFAULT|filter_scheduler)\./.test(full))
    return takeMultiplier(file, option, weigher);
  const meant = MISPLACED.get(full) ?? nearMiss(full, option.key);
  const { problems, warnings } = file.gathered;
  if (meant !== null)
    problems.push(`${place(file, option)}: ${title(option)}: unknown option; did you mean "${meant}"?`);
  else if (full.startsWith('pci.') && !PASSED_OVER.has(option.key)) {
    warnings.push(`${place(file, option)}: ${title(option)}: unknown option, passed over`);
  }
}

/** A file of hundreds of options is not ours to judge; only what was nearly ours is told. */
function nearMiss(full: string, key: string): string | null {
  if (full.startsWith('pci.')) return PASSED_OVER.has(key) ? null : didYouMean(key, PCI_NAMES);
  return full.startsWith('DEFAULT.') && key.length > 6 ? didYouMean(key, OLD_NAMES) : null;
}

function takeWhitelist(file: ConfFile, option: OsloOption, name: WhitelistName): void {
  const json = readJson(file, option);
  if (json)
    file.gathered.whitelist.push({
      ...{ name, file: file.name, value: json.value, where: (path) => place(file, option, json.lineOf(path)) },
      fromConf: true,
    });
}

function takeAlias(file: ConfFile, option: OsloOption): void {
  const json = readJson(file, option);
  if (!json) return;
  const where = (path: readonly (string | number)[]): string => place(file, option, json.lineOf(path));
  const value = withNovasDeviceType(file, json.value, where);
  file.gathered.aliases.push({ value, where, requireDeviceType: false });
}

/** Zun's words for device types → Nova's. */
const ZUN_DEVICE_TYPES: ReadonlyMap<unknown, string> = new Map([
  ['PCI', 'type-PCI'],
  ['PF', 'type-PF'],
  ['VF', 'type-VF'],
]);

function withNovasDeviceType(file: ConfFile, alias: unknown, where: (path: readonly string[]) => string): unknown {
  const novas = isObject(alias) ? ZUN_DEVICE_TYPES.get(alias['device_type']) : undefined;
  if (!isObject(alias) || novas === undefined) return alias;
  const named = `alias ${shown(alias['name'])}: device_type`;
  file.gathered.warnings.push(`${where(['device_type'])}: ${named}: "${String(alias['device_type'])}" means ${novas}`);
  return { ...alias, device_type: novas };
}

function readJson(file: ConfFile, option: OsloOption): (LocatedJson & { readonly problem: null }) | null {
  const json = readLocatedJson(option.value);
  if (json.problem === null) return json;
  const empty = option.value === '' ? 'is empty; give a value, or remove the line' : json.problem;
  file.gathered.problems.push(`${place(file, option, json.line)}: ${title(option)}: ${empty}`);
  return null;
}

function takeFilters(file: ConfFile, option: OsloOption): void {
  const names = option.value.split(',').map((name) => name.trim());
  give(
    file,
    option,
    'scheduler.filters',
    names.filter((name) => name !== ''),
  );
}

function takeOldFilters(file: ConfFile, option: OsloOption): void {
  const current = file.options.some((other) => fullName(other) === 'filter_scheduler.enabled_filters');
  if (!current) takeFilters(file, option);
}

function takeRatio(file: ConfFile, option: OsloOption): void {
  const { value } = option;
  // In Nova 0.0 and nothing mean "not set".
  if (value !== '' && value !== '<None>' && Number(value) !== 0) {
    give(file, option, `scheduler.${option.key}`, numberOf(value));
  }
}

function takeNumber(file: ConfFile, option: OsloOption): void {
  give(file, option, `scheduler.${option.key}`, numberOf(option.value));
}

/** oslo's words for yes and no. */
const YES = /^(?:1|t|true|on|y|yes)$/i;
const NO = /^(?:0|f|false|off|n|no)$/i;

function takeTieBreak(file: ConfFile, option: OsloOption): void {
  const { value } = option;
  give(file, option, 'scheduler.tie_break', YES.test(value) ? 'process' : NO.test(value) ? 'name' : value);
}

/** A part of a unit that is reserved takes all of it. */
function takeReserved(file: ConfFile, option: OsloOption, what: string, perUnit: number): void {
  const amount = numberOf(option.value);
  give(file, option, `agent.reserved.${what}`, typeof amount === 'number' ? Math.ceil(amount / perUnit) : amount);
}

function takeMultiplier(file: ConfFile, option: OsloOption, weigher: string): void {
  give(file, option, 'scheduler.weigher_multipliers', { [weigher]: numberOf(option.value) });
}

function give(file: ConfFile, option: OsloOption, key: string, value: unknown): void {
  const definition = definitionOf(key);
  if (definition) giveSetting(file.gathered, definition, value, `${place(file, option)}: ${title(option)}`);
}

function numberOf(text: string): unknown {
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** oslo takes section names in any case. */
function fullName(option: OsloOption): string {
  const section = option.section.trim().toLowerCase();
  return `${section === 'default' ? 'DEFAULT' : section}.${option.key}`;
}

function title(option: OsloOption): string {
  return `[${option.section}] ${option.key}`;
}

function place(file: ConfFile, option: OsloOption, line = 0): string {
  return `${file.name}:${option.line + line}`;
}
