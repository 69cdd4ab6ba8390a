import type { QuotaAmounts } from '../../quotas/quotas.service.js';
import { type QuotaLine, quotaLine, type QuotaName, quotaNames } from './quota-keys.js';

/** Before this version classes have no quotas of server groups. */
const CLASS_GROUPS_SINCE = 50;

/** One thing of each quota that a version has. */
function each<T>(names: readonly QuotaName[], amounts: QuotaAmounts, of: (line: QuotaLine) => T): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, of(quotaLine(name, amounts))]));
}

/** The limits of a project. */
export function quotaSetView(amounts: QuotaAmounts, minor: number): object {
  return each(quotaNames(minor), amounts, ({ limit }) => limit);
}

/** What its limits would be if nothing were said of it. */
export function defaultQuotasView(amounts: QuotaAmounts, minor: number): object {
  return each(quotaNames(minor), amounts, ({ byDefault }) => byDefault);
}

/** Limits, and what is used of them; nothing is ever reserved. */
export function quotaDetailView(amounts: QuotaAmounts, minor: number): object {
  return each(quotaNames(minor), amounts, ({ limit, used }) => ({ limit, in_use: used, reserved: 0 }));
}

/** The quotas that a class has in a version: those of networks went later, those of groups came later. */
export function classQuotaNames(minor: number): readonly QuotaName[] {
  if (minor >= CLASS_GROUPS_SINCE) return quotaNames(minor);
  return quotaNames(1).filter((name) => name !== 'server_groups' && name !== 'server_group_members');
}

/** The limits that every project has unless it has its own. */
export function quotaClassView(amounts: QuotaAmounts, minor: number): object {
  return each(classQuotaNames(minor), amounts, ({ byDefault }) => byDefault);
}

/** Nova's names of limits of a quota. */
const LIMITS: Partial<Record<QuotaName, readonly string[]>> = {
  instances: ['maxTotalInstances'],
  cores: ['maxTotalCores'],
  ram: ['maxTotalRAMSize'],
  key_pairs: ['maxTotalKeypairs'],
  metadata_items: ['maxServerMeta', 'maxImageMeta'],
  server_groups: ['maxServerGroups'],
  server_group_members: ['maxServerGroupMembers'],
  injected_files: ['maxPersonality'],
  injected_file_content_bytes: ['maxPersonalitySize'],
  floating_ips: ['maxTotalFloatingIps'],
  security_groups: ['maxSecurityGroups'],
  security_group_rules: ['maxSecurityGroupRules'],
};
const USED: Partial<Record<QuotaName, string>> = {
  instances: 'totalInstancesUsed',
  cores: 'totalCoresUsed',
  ram: 'totalRAMUsed',
  server_groups: 'totalServerGroupsUsed',
  floating_ips: 'totalFloatingIpsUsed',
  security_groups: 'totalSecurityGroupsUsed',
};
/** The last version with a limit of what images have. */
const IMAGE_META_UNTIL = 38;

/** `/limits`; no rates are limited there. */
export function limitsView(amounts: QuotaAmounts, minor: number): object {
  const entries = quotaNames(minor).flatMap((name): [string, number][] => {
    const { limit, used } = quotaLine(name, amounts);
    const names = (LIMITS[name] ?? []).filter((one) => one !== 'maxImageMeta' || minor <= IMAGE_META_UNTIL);
    const counted = USED[name];
    return [
      ...names.map((one): [string, number] => [one, limit]),
      ...(counted === undefined ? [] : ([[counted, used]] as [string, number][])),
    ];
  });
  return { limits: { rate: [], absolute: Object.fromEntries(entries) } };
}
