import { KEYPAIRS_DEFAULT, KEYPAIRS_RESOURCE } from '../../keypairs/keypairs.service.js';
import { TEXT_MAP_MAX } from '../../fields.js';
import type { QuotaAmounts } from '../../quotas/quotas.service.js';
import { KEPT_PREFIX } from '../../../store/quota-limits.store.js';
import { UNLIMITED } from '../../../store/quotas.store.js';

interface QuotaKey {
  /** Berth's name of it. */
  readonly resource: string;
  /** What holds where nothing is said. */
  readonly otherwise: number;
  /** The last minor version that has it. */
  readonly until: number;
}

const ALWAYS = Infinity;
/** Networks left Nova with 2.36; files put into servers with 2.57. */
const [NETWORKS_UNTIL, FILES_UNTIL] = [35, 56];

function kept(name: string, otherwise: number, until: number): QuotaKey {
  return { resource: `${KEPT_PREFIX}${name}`, otherwise, until };
}

/** Nova's quotas. Those of servers, vCPUs, RAM and keypairs hold; the others are kept, as there is nothing here that they could limit. */
const QUOTA_KEYS = {
  instances: { resource: 'servers', otherwise: UNLIMITED, until: ALWAYS },
  cores: { resource: 'vcpus', otherwise: UNLIMITED, until: ALWAYS },
  ram: { resource: 'memory_mb', otherwise: UNLIMITED, until: ALWAYS },
  key_pairs: { resource: KEYPAIRS_RESOURCE, otherwise: KEYPAIRS_DEFAULT, until: ALWAYS },
  metadata_items: kept('metadata_items', TEXT_MAP_MAX, ALWAYS),
  server_groups: kept('server_groups', UNLIMITED, ALWAYS),
  server_group_members: kept('server_group_members', UNLIMITED, ALWAYS),
  injected_files: kept('injected_files', 0, FILES_UNTIL),
  injected_file_content_bytes: kept('injected_file_content_bytes', 0, FILES_UNTIL),
  injected_file_path_bytes: kept('injected_file_path_bytes', 0, FILES_UNTIL),
  fixed_ips: kept('fixed_ips', UNLIMITED, NETWORKS_UNTIL),
  floating_ips: kept('floating_ips', UNLIMITED, NETWORKS_UNTIL),
  security_groups: kept('security_groups', UNLIMITED, NETWORKS_UNTIL),
  security_group_rules: kept('security_group_rules', UNLIMITED, NETWORKS_UNTIL),
} satisfies Record<string, QuotaKey>;

export type QuotaName = keyof typeof QUOTA_KEYS;

/** What is limited, and how much of it there is. */
export interface QuotaLine {
  readonly limit: number;
  readonly byDefault: number;
  readonly used: number;
}

/** The quotas that a version has. */
export function quotaNames(minor: number): readonly QuotaName[] {
  return (Object.keys(QUOTA_KEYS) as QuotaName[]).filter((name) => minor <= QUOTA_KEYS[name].until);
}

/** Berth's name of a quota. */
export function resourceOf(name: QuotaName): string {
  return QUOTA_KEYS[name].resource;
}

export function quotaLine(name: QuotaName, { own, defaults, used }: QuotaAmounts): QuotaLine {
  const { resource, otherwise } = QUOTA_KEYS[name];
  const byDefault = defaults.get(resource) ?? otherwise;
  return { limit: own.get(resource) ?? byDefault, byDefault, used: used?.get(resource) ?? 0 };
}
