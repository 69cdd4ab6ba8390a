import { canonicalJson } from '../pci/canonical-json.js';
import { SETTINGS } from './settings-table.js';
import type { Settings } from './settings.js';

export type Role = 'api' | 'scheduler' | 'agent' | 'all';

/** What a running process can take over. */
export type LiveSetting = 'agent.device_spec' | 'agent.sriov' | 'aliases' | 'log_level';

export interface SettingsDifference {
  /** In this order. */
  readonly live: readonly LiveSetting[];
  /** Keys of settings that a running process does not change, in the order of the settings table. */
  readonly needsRestart: readonly string[];
}

/** Beginnings of keys that say nothing to a role: it may share its files with others. */
const FOREIGN: Readonly<Record<Role, readonly string[]>> = {
  api: ['agent.', 'audit.', 'bus.', 'data_dir'],
  scheduler: ['agent.', 'aliases', 'data_dir'],
  agent: ['audit.', 'database.', 'scheduler.', 'pci.', 'aliases', 'data_dir'],
  all: [],
};

/**
 * How two settings differ, for one role: what it can take over, and what waits for a restart.
 * Where an entry stands (its line) is no difference.
 */
export function differenceOf(current: Settings, next: Settings, role: Role): SettingsDifference {
  const concerns = (key: string): boolean => !FOREIGN[role].some((foreign) => key.startsWith(foreign));
  const live: LiveSetting[] = [];
  if (whitelistText(current) !== whitelistText(next)) live.push('agent.device_spec');
  if (declaredText(current) !== declaredText(next)) live.push('agent.sriov');
  if (canonicalJson(current.aliases) !== canonicalJson(next.aliases)) live.push('aliases');
  if (current.logLevel !== next.logLevel) live.push('log_level');
  const needsRestart = SETTINGS.map(({ key }) => key)
    .filter((key) => key !== 'log_level' && concerns(key))
    .filter((key) => canonicalJson(valueAt(current, key)) !== canonicalJson(valueAt(next, key)));
  return { live: live.filter(concerns), needsRestart };
}

/** The settings of a running process that takes over what it can. */
export function withLiveParts(current: Settings, next: Settings): Settings {
  const { aliases, logLevel } = next;
  return Object.freeze({
    ...current,
    agent: Object.freeze({ ...current.agent, deviceSpecs: next.agent.deviceSpecs, sriov: next.agent.sriov ?? [] }),
    aliases,
    logLevel,
  });
}

function whitelistText({ agent }: Settings): string {
  return canonicalJson(agent.deviceSpecs.map(({ where: _where, ...entry }) => entry));
}

function declaredText({ agent: { sriov = [] } }: Settings): string {
  return canonicalJson(sriov.map(({ where: _where, pf: { where: _of, ...pf }, ...entry }) => ({ ...entry, pf })));
}

/** `http.body_bytes_max` is at `http.bodyBytesMax`. */
function valueAt(settings: Settings, key: string): unknown {
  const steps = key.split('.').map((step) => step.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  return steps.reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], settings);
}
