import { readFileSync, statSync } from 'node:fs';
import { BerthError, messageOf } from '../errors.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { parseAliasesAs } from '../pci/dialect-readers.js';
import type { Dialect } from '../pci/dialect.js';
import { isObject, placeOf, shown } from '../pci/device-spec/device-spec-fields.js';
import { unreachableEntries } from '../pci/device-spec/device-spec-coverage.js';
import { DEVICE_SPECS_MAX, parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';
import { parseSriovDeclarations } from '../pci/sriov/sriov-declaration.js';
import { suggestion } from '../pci/suggest.js';
import { gatherConf } from './conf-source.js';
import { gatherEnvironment } from './environment-source.js';
import { definitionOf, emptyGathered, giveSetting, WHITELIST_NAMES } from './gathered.js';
import type { Gathered, WhitelistValue } from './gathered.js';
import { SETTINGS } from './settings-table.js';
import type { AgentSettings, Settings } from './settings.js';
import { gatherYaml } from './yaml-source.js';

export interface SettingsSources {
  /** YAML files and nova.conf / zun.conf files; of a plain setting the last one counts, lists add up. */
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Of the command line: `{ 'http.port': 0 }`; texts are read as the environment's are. */
  readonly overrides?: Readonly<Record<string, unknown>>;
}

export interface LoadedSettings {
  /** Frozen through and through. */
  readonly settings: Settings;
  /** The whitelist as it is written, in the order in which its entries are asked. */
  readonly whitelist: { readonly entries: readonly unknown[]; readonly freeTags: readonly string[] };
  readonly warnings: readonly string[];
}

const FILE_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 100;

/**
 * Everything a process is told: defaults, then files, then the environment, then the command line.
 *
 * @throws BerthError `settings.invalid` with every problem of every source, one a line; `details.problems` has them as a list
 */
export function loadSettings(sources: SettingsSources): LoadedSettings {
  const gathered = emptyGathered();
  for (const file of sources.files.slice(0, FILES_MAX)) gatherFile(file, gathered);
  if (sources.files.length > FILES_MAX) gathered.problems.push(`${sources.files.length} files; at most ${FILES_MAX}`);
  gatherEnvironment(sources.env, gathered);
  gatherOverrides(sources.overrides ?? {}, gathered);
  const { specs: deviceSpecs, entries } = readWhitelist(gathered);
  const aliases = readAliases(gathered);
  const sriov = gathered.sriov.flatMap(({ value, where }) =>
    collect(() => parseSriovDeclarations(value, where), 'sriov.invalid', gathered),
  );
  const { problems, warnings } = gathered;
  if (problems.length > 0) throw new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
  const whitelist = { entries, freeTags: [...gathered.freeTags] };
  return { settings: deepFreeze(assemble(gathered, { deviceSpecs, sriov }, aliases)), whitelist, warnings };
}

function gatherFile(file: string, gathered: Gathered): void {
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    gathered.problems.push(`${file}: cannot be read: ${messageOf(error)}`);
    return;
  }
  if (isConf(file, text)) gatherConf(file, text, gathered);
  else gatherYaml(file, text, gathered);
}

function readText(file: string): string {
  const { size } = statSync(file);
  if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes; at most ${FILE_BYTES_MAX}`);
  const bytes = readFileSync(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not UTF-8 text');
  }
}

/** By the ending; where that says nothing, by the first line that does. */
function isConf(file: string, text: string): boolean {
  if (/\.(?:conf|ini)$/i.test(file)) return true;
  if (/\.(?:ya?ml|json)$/i.test(file)) return false;
  const first = text.split('\n').find((line) => line.trim() !== '' && !/^\s*[#;]/.test(line)) ?? '';
  return /^\[[^\]"{]+\]\s*$/.test(first) || /^[\w-]+\s*=/.test(first);
}

function gatherOverrides(overrides: Readonly<Record<string, unknown>>, gathered: Gathered): void {
  for (const [key, value] of Object.entries(overrides)) {
    const definition = definitionOf(key);
    if (!definition) {
      const hint = suggestion(
        key,
        SETTINGS.map((known) => known.key),
      );
      gathered.problems.push(`command line: ${key}: unknown setting${hint}`);
    } else {
      const given = typeof value === 'string' ? definition.kind.fromText(value) : value;
      giveSetting(gathered, definition, given, 'command line');
    }
  }
}

function readWhitelist(gathered: Gathered): { specs: DeviceSpec[]; entries: unknown[] } {
  const ordered = inOrder(gathered);
  warnOfMix(ordered, gathered);
  const dialect = dialectOf(gathered);
  const options = { freeTags: [...gathered.freeTags], dialect };
  const written = ordered.map((given) => {
    const inert = dialect === 'strict' && given.fromConf === true;
    return { value: inert ? withoutDeviceType(given, gathered) : given.value, where: given.where };
  });
  const specs = written.flatMap(({ value, where }) =>
    collect(() => parseDeviceSpecs(value, where, options), 'device_spec.invalid', gathered),
  );
  if (specs.length > DEVICE_SPECS_MAX) {
    gathered.problems.push(`device_spec: ${specs.length} entries in all; at most ${DEVICE_SPECS_MAX}`);
  } else if (dialect === 'strict') warnOfUnreachable(specs, gathered);
  return { specs, entries: written.flatMap(({ value }) => value) };
}

/** Zun's document gives entries a `device_type`, which Zun and Nova never looked at: in both it is one more tag. */
function withoutDeviceType({ value, where }: WhitelistValue, gathered: Gathered): unknown {
  const strip = (entry: unknown, path: readonly (string | number)[]): unknown => {
    if (!isObject(entry) || !Object.hasOwn(entry, 'device_type')) return entry;
    const { device_type: _, ...others } = entry;
    gathered.warnings.push(`${placeOf(where, [...path, 'device_type'])}: device_type: says nothing here, passed over`);
    return others;
  };
  return Array.isArray(value) ? value.map((entry, index) => strip(entry, [index])) : strip(value, []);
}

/**
 * Entries of the current name come first, whatever the order in the files: the first match decides. Nova goes file by file,
 * and in each the oldest name comes first (rule: oslo.config's order of deprecated names).
 */
function inOrder(gathered: Gathered): WhitelistValue[] {
  const named = (given: readonly WhitelistValue[], names: readonly string[]): WhitelistValue[] =>
    names.flatMap((name) => given.filter((value) => value.name === name));
  if (dialectOf(gathered) === 'strict') return named(gathered.whitelist, WHITELIST_NAMES);
  const files = [...new Set(gathered.whitelist.map(({ file }) => file))];
  const oldestFirst = [...WHITELIST_NAMES].reverse();
  return files.flatMap((file) =>
    named(
      gathered.whitelist.filter((value) => value.file === file),
      oldestFirst,
    ),
  );
}

function dialectOf(gathered: Gathered): Dialect {
  return gathered.values.get('compat') === 'nova' ? 'nova' : 'strict';
}

const UNREACHABLE_TOLD_MAX = 20;

function warnOfUnreachable(specs: readonly DeviceSpec[], gathered: Gathered): void {
  const findings = unreachableEntries(specs);
  for (const { message } of findings.slice(0, UNREACHABLE_TOLD_MAX)) gathered.warnings.push(`device_spec: ${message}`);
  const left = findings.length - UNREACHABLE_TOLD_MAX;
  if (left > 0) gathered.warnings.push(`device_spec: ${left} more entries never decide`);
}

function warnOfMix(ordered: readonly WhitelistValue[], gathered: Gathered): void {
  const firsts = ordered.filter((given) => ordered.find(({ name }) => name === given.name) === given);
  if (firsts.length < 2) return;
  const places = firsts.map(({ name, where }) => `${name} (${placeOf(where, [])})`).join(', then ');
  gathered.warnings.push(`the whitelist has more than one name; entries are asked in this order: ${places}`);
}

function readAliases(gathered: Gathered): AliasDefinition[] {
  for (const { value, where, requireDeviceType } of gathered.aliases) {
    if (
      dialectOf(gathered) === 'strict' &&
      requireDeviceType === false &&
      isObject(value) &&
      !Object.hasOwn(value, 'device_type')
    ) {
      gathered.warnings.push(
        `${placeOf(where, [])}: alias ${shown(value['name'])}: without device_type it takes type-PCI and type-VF; say which`,
      );
    }
  }
  return collect(() => parseAliasesAs(dialectOf(gathered), gathered.aliases), 'alias.invalid', gathered);
}

/** Problems of one kind go to the others; any other error is a bug and goes on its way. */
function collect<T>(parse: () => T[], code: string, gathered: Gathered): T[] {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== code) throw error;
    gathered.problems.push(...(error.details['problems'] as string[]));
    return [];
  }
}

/** `http.body_bytes_max` becomes `http.bodyBytesMax`; a test compares the outcome with every field of `Settings`. */
function assemble(
  gathered: Gathered,
  lists: Required<Pick<AgentSettings, 'deviceSpecs' | 'sriov'>>,
  aliases: AliasDefinition[],
): Settings {
  const root: Record<string, unknown> = { aliases };
  for (const { key, initial } of SETTINGS) {
    const steps = key.split('.').map(camelCase);
    let section = root;
    for (const step of steps.slice(0, -1)) section = (section[step] ??= {}) as Record<string, unknown>;
    section[steps.at(-1) as string] = structuredClone(gathered.values.get(key) ?? initial);
  }
  Object.assign(root['agent'] as object, lists);
  (root['scheduler'] as Record<string, unknown>)['compat'] = root['compat'];
  return root as unknown as Settings;
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
