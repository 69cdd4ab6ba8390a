import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import bcrypt from 'bcryptjs';

import type { AuthRole } from '../../src/settings/settings.js';
import { BerthProcess } from './berth-process.js';
import { type Fleet, startFleet, writeConfig } from './fleet.js';
import { charmsGuideHost } from './hosts.js';
import { freePort } from './processes.js';

/** Somebody who may log in. */
export interface CloudUser {
  readonly name: string;
  readonly password: string;
  readonly project: string;
  readonly role: AuthRole;
}

/** The built program as a cloud of two simulated hosts, as clients of OpenStack find it. */
export interface OpenStackCloud {
  readonly fleet: Fleet;
  /** Of the api process that lets everybody do everything. */
  readonly openUrl: string;
  /** Of the one that asks for a password, or for a token of its `/identity/v3`. */
  readonly url: string;
  close(): Promise<void>;
}

const BCRYPT_COST = 4;
/** The charms guide's: two P5000 on each host, to be had as `gpu`. */
const CONF = `[pci]
device_spec = {"vendor_id": "10de", "product_id": "1bb0"}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;
const AGENT = `agent: {resources: {vcpus: 32, memory_mb: 131072, disk_gb: 4000}}\n`;

/** @param databaseUrl a Postgres in which databases can be created */
export async function startOpenStackCloud(databaseUrl: string, users: readonly CloudUser[]): Promise<OpenStackCloud> {
  const config = { 'nova.conf': CONF, 'agent.yaml': AGENT };
  const fleet = await startFleet({
    databaseUrl,
    hosts: ['compute-1', 'compute-2'].map((name) => ({ name, tree: charmsGuideHost(name), config })),
    apiConfig: { 'nova.conf': CONF },
  });
  const closed = new BerthProcess({
    ...{ role: 'api', name: 'api with passwords' },
    config: [join(fleet.apiConfigDir, 'nova.conf'), ...writeUsers(fleet.apiConfigDir, users)],
    env: { DATABASE_URL: fleet.databaseUrl, BERTH_HTTP_PORT: String(await freePort()) },
  });
  const close = async (): Promise<void> => {
    await closed.stop();
    await fleet.close();
  };
  try {
    await closed.start();
    return { fleet, openUrl: fleet.api.url, url: closed.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An htpasswd file, and the settings that name it. @returns the path of the settings */
function writeUsers(folder: string, users: readonly CloudUser[]): string[] {
  const lines = users.map(({ name, password }) => `${name}:${bcrypt.hashSync(password, BCRYPT_COST)}\n`);
  const usersFile = join(folder, 'users');
  writeFileSync(usersFile, lines.join(''));
  const of = (field: 'project' | 'role'): object => Object.fromEntries(users.map((user) => [user.name, user[field]]));
  const auth = { strategy: 'http_basic', users_file: usersFile, projects: of('project'), roles: of('role') };
  return writeConfig(folder, { 'auth.yaml': JSON.stringify({ auth }) });
}
