import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Somebody as whom Tempest asks. */
export interface TempestUser {
  readonly name: string;
  readonly password: string;
  readonly project: string;
  readonly isAdmin: boolean;
}

/** What Tempest is told of a cloud. */
export interface TempestPlan {
  /** `http://berth.example:8790/identity/v3` */
  readonly identityUrl: string;
  readonly users: readonly TempestUser[];
  /** Two ids each. */
  readonly flavors: readonly [string, string];
  readonly images: readonly [string, string];
  readonly hosts: number;
}

const TESTS = '/usr/lib/python3/dist-packages';
/** Of Nova 26, the last that this Tempest has schemas for. */
const MICROVERSION_MAX = '2.93';
/** How long a server may take to become what it is waited for, in seconds. */
const BUILD_S_MAX = 60;

/**
 * Writes what a run needs into a folder.
 *
 * @returns environment of `stestr`, which is to be run there
 */
export function writeConfiguration(folder: string, plan: TempestPlan): Record<string, string> {
  mkdirSync(join(folder, 'lock'), { recursive: true });
  const sections = {
    DEFAULT: { log_file: 'tempest.log', log_dir: folder, debug: false, use_stderr: false },
    ...whereThingsAre(folder, plan),
    ...whatIsThere(plan),
  };
  const text = Object.entries(sections).map(
    ([name, options]) =>
      `[${name}]\n${Object.entries(options)
        .map(([key, value]) => `${key} = ${String(value)}\n`)
        .join('')}`,
  );
  writeFileSync(join(folder, 'tempest.conf'), text.join('\n'));
  writeFileSync(join(folder, 'accounts.yaml'), JSON.stringify(plan.users.map(account)));
  const runner = ['[DEFAULT]', `test_path=${TESTS}/tempest/test_discover`, `top_dir=${TESTS}`];
  // Tests of one class stay together.
  writeFileSync(join(folder, '.stestr.conf'), [...runner, String.raw`group_regex=([^\.]*\.)*`, ''].join('\n'));
  return { TEMPEST_CONFIG_DIR: folder, TEMPEST_CONFIG: 'tempest.conf' };
}

function account({ name, password, project, isAdmin }: TempestUser): object {
  return {
    ...{ username: name, password, project_name: project, domain_name: 'Default' },
    ...(isAdmin ? { types: ['admin'] } : {}),
  };
}

function whereThingsAre(folder: string, { identityUrl }: TempestPlan): Record<string, object> {
  return {
    auth: { use_dynamic_credentials: false, test_accounts_file: join(folder, 'accounts.yaml') },
    identity: { uri_v3: identityUrl, auth_version: 'v3', region: 'RegionOne', v3_endpoint_type: 'public' },
    'identity-feature-enabled': { api_v2: false, api_v3: true },
    oslo_concurrency: { lock_path: join(folder, 'lock') },
    // Without Glance the classes for administrators do not even begin.
    service_available: { nova: true, glance: true, neutron: false, cinder: false, swift: false, horizon: false },
    validation: { run_validation: false },
  };
}

/** What Berth says it has not (consoles, volumes, snapshots, resize, migration) is switched off, and skipped. */
function whatIsThere({ flavors, images, hosts }: TempestPlan): Record<string, object> {
  return {
    compute: {
      ...{ image_ref: images[0], image_ref_alt: images[1], flavor_ref: flavors[0], flavor_ref_alt: flavors[1] },
      ...{ min_compute_nodes: hosts, min_microversion: '2.1', max_microversion: MICROVERSION_MAX },
      ...{ build_timeout: BUILD_S_MAX, build_interval: 1, ready_wait: 0 },
    },
    'compute-feature-enabled': {
      ...{ change_password: false, console_output: false, vnc_console: false, spice_console: false },
      ...{ serial_console: false, rescue: false, stable_rescue: false, snapshot: false, interface_attach: false },
      ...{ attach_encrypted_volume: false, swap_volume: false, volume_backed_live_migration: false },
      ...{ live_migration: false, block_migration_for_live_migration: false, personality: false, config_drive: false },
      ...{ nova_cert: false, metadata_service: false, xenapi_apis: false, disk_config: true },
      ...{ cold_migration: false, resize: false, pause: true, shelve: true, suspend: true },
    },
    'image-feature-enabled': { api_v2: true },
  };
}
