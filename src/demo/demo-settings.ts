import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAliases, type AliasDefinition } from '../pci/alias/alias.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import { DEMO_HOSTS } from '../recorded-hosts/demo-fleet.js';
import { generateHost } from '../recorded-hosts/generator.js';
import { writeTree } from '../recorded-hosts/tree.js';
import type { AgentSettings, Settings } from '../settings/settings.js';

/** What each host of the demonstration offers: the whitelist as an operator would write it. */
const WHITELISTS: Readonly<Record<string, unknown>> = {
  'node-1': [
    { vendor_id: '10de', product_id: '1bb0' },
    { vendor_id: '8086', product_id: '154c', physical_network: 'physnet1' },
    { vendor_id: '8086', product_id: '1572', address: '0000:41:00.0', physical_network: 'physnet1' },
  ],
  'node-2': [
    { vendor_id: '10de', product_id: '1bb0' },
    { vendor_id: '10de', product_id: '10f0' },
    { vendor_id: '1002', product_id: '738c' },
    { vendor_id: '8086', product_id: '0443', address: ':0a:00.' },
  ],
  'node-3': [
    { vendor_id: '10de', product_id: '20b0' },
    { vendor_id: '15b3', product_id: '1018', physical_network: 'physnet2' },
  ],
};

const ALIASES: readonly unknown[] = [
  { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
  { name: 'a100', vendor_id: '10de', product_id: '20b0', device_type: 'type-PCI' },
  { name: 'mi100', vendor_id: '1002', product_id: '738c', device_type: 'type-PCI' },
  // devices of a network go only to who names it
  { name: 'nic', vendor_id: '8086', product_id: '154c', device_type: 'type-VF', physical_network: 'physnet1' },
  { name: 'nic', vendor_id: '15b3', product_id: '1018', device_type: 'type-VF', physical_network: 'physnet2' },
  { name: 'nic-pf', vendor_id: '8086', product_id: '1572', device_type: 'type-PF', physical_network: 'physnet1' },
  { name: 'QuickAssist', vendor_id: '8086', product_id: '0443', device_type: 'type-VF' },
];

/**
 * The settings of the demonstration: three simulated hosts with a whitelist each, a read-only look at this machine's own
 * devices, and aliases for what the hosts have. Host trees are written below `dataDir` once and kept: they hold the state
 * of the simulated kernels.
 */
export async function demoSettings(
  settings: Settings,
): Promise<{ agents: AgentSettings[]; aliases: AliasDefinition[] }> {
  const agents = await Promise.all(DEMO_HOSTS.map((host) => demoAgent(settings, host.name)));
  const own = existsSync(join(settings.agent.sysfsRoot, 'bus/pci/devices')) ? [thisMachine(settings)] : [];
  const given = new Set(settings.aliases.map((alias) => alias.name));
  const aliases = parseAliases(ALIASES.map((value, index) => ({ value, where: `demo alias ${index + 1}` })));
  return {
    agents: [...agents, ...own],
    aliases: [...settings.aliases, ...aliases.filter(({ name }) => !given.has(name))],
  };
}

async function demoAgent(settings: Settings, host: string): Promise<AgentSettings> {
  const folder = join(settings.dataDir, 'hosts', host);
  if (!existsSync(folder)) await writeHost(host, folder);
  return {
    ...settings.agent,
    host,
    sysfsRoot: join(folder, 'sys'),
    procRoot: join(folder, 'proc'),
    stateDir: join(settings.dataDir, 'agents', host),
    kernel: 'simulated',
    readOnly: false,
    deviceSpecs: parseDeviceSpecs(WHITELISTS[host], `whitelist of ${host}`, { freeTags: [] }),
    resources: { ...settings.agent.resources, diskGb: settings.agent.resources.diskGb ?? 1000 },
  };
}

/** Written beside and renamed, so that an interrupted first start leaves no half a host. */
async function writeHost(host: string, folder: string): Promise<void> {
  const description = DEMO_HOSTS.find(({ name }) => name === host);
  if (!description) return;
  const draft = `${folder}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  await writeTree(generateHost(description), draft);
  await rename(draft, folder);
}

/** Looks, reports, offers nothing and binds nothing. */
function thisMachine(settings: Settings): AgentSettings {
  return {
    ...settings.agent,
    host: settings.agent.host ?? 'this-machine',
    readOnly: true,
    kernel: 'live',
    deviceSpecs: [],
    stateDir: join(settings.dataDir, 'agents', 'this-machine'),
  };
}
