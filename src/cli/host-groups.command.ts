import type { Command } from 'commander';
import { hostGroupsText, type HostGroups } from './host-groups-text.js';
import { ask, tell } from './rest-question.js';

interface GroupsOptions {
  readonly url: string;
  readonly group?: string;
  readonly state?: string;
  readonly json: boolean;
}

/** `berth host groups`. */
export function addHostGroupsCommand(host: Command): void {
  host
    .command('groups <name>')
    .description('the IOMMU groups of a host: what can only be handed over together, and what is in the way')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--group <number>', 'only this group')
    .option('--state <state>', 'only such groups: viable, protected, blocked, not_offered, bridges')
    .option('--json', 'the answer as JSON', false)
    .action(async (name: string, { url, json, group, state }: GroupsOptions) => {
      const query = new URLSearchParams({
        ...(group !== undefined && { group }),
        ...(state !== undefined && { state }),
      });
      const path = `/v1/hosts/${encodeURIComponent(name)}/iommu-groups?${query.toString()}`;
      process.exitCode = await tell(() => ask<HostGroups>(url, path), json, hostGroupsText);
    });
}
