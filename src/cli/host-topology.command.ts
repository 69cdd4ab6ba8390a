import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import { addEvacuateCommands } from './evacuate.command.js';
import { addHostGroupsCommand } from './host-groups.command.js';
import { hostTopologyText, type HostTopology } from './host-topology-text.js';
import { ask, tell } from './rest-question.js';

interface TopologyOptions {
  readonly url: string;
  readonly address: readonly string[];
  readonly device?: string;
  readonly json: boolean;
}

/** `berth host`: topology, groups, evacuate, remove. Returns it for further commands that do not ask the REST face. */
export function addHostTopologyCommand(program: Command): Command {
  const several = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
  const host = program.command('host').description('what a host has, and that it is left');
  addEvacuateCommands(host);
  addHostGroupsCommand(host);
  host
    .command('topology <name>')
    .description('how far the devices of a host are from each other, by name or id of the host')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--address <address>', 'only this device; may be repeated', several, [])
    .option('--device <vendor:product>', 'only such devices, e.g. 10de:20b0')
    .option('--json', 'the answer as JSON', false)
    .action(async (name: string, { url, json, ...filter }: TopologyOptions) => {
      process.exitCode = await tell(() => topologyOf(url, name, filter), json, hostTopologyText);
    });
  return host;
}

async function topologyOf(
  url: string,
  host: string,
  { address, device }: Pick<TopologyOptions, 'address' | 'device'>,
): Promise<HostTopology> {
  const query = new URLSearchParams({
    ...(address.length > 0 && { address: address.join(',') }),
    ...(device !== undefined && idsOf(device)),
  });
  return ask(url, `/v1/hosts/${encodeURIComponent(host)}/topology?${query.toString()}`);
}

function idsOf(device: string): { vendor_id: string; product_id: string } {
  const [, vendor, product] = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(device) ?? [];
  if (vendor !== undefined && product !== undefined) return { vendor_id: vendor, product_id: product };
  throw new BerthError('request.invalid', `--device: "${device}" is not vendor:product, like 10de:20b0`);
}
