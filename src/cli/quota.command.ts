import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import { quotaText, type Quotas } from './quota-text.js';
import { ask, tell } from './rest-question.js';

interface QuotaOptions {
  readonly url: string;
  readonly project?: string;
  readonly json: boolean;
}

interface SetOptions extends QuotaOptions {
  readonly replace: boolean;
}

const RESOURCES = `
Resources: servers, vcpus, memory_mb, disk_gb, devices, alias:NAME, class:RESOURCE_CLASS, class:VENDOR:PRODUCT.
Limits: a whole number; unlimited, also where the default is a limit; default, to have none of its own.
The project "*" stands for the defaults of every project.`;

/** `berth quota show`, `set` and `delete`. */
export function addQuotaCommand(program: Command): void {
  const quota = program.command('quota').description('how much a project may have');
  options(quota.command('show').description('limits and what is used'))
    .option('--project <id>', 'this project; the project of requests when left out')
    .action(async (given: QuotaOptions) => {
      const query = given.project === undefined ? '' : `?project_id=${encodeURIComponent(given.project)}`;
      process.exitCode = await tell(() => ask<Quotas>(given.url, `/v1/quotas${query}`), given.json, quotaText);
    });
  options(quota.command('set <resource=limit...>').description('change limits; others stay'))
    .requiredOption('--project <id>', 'of this project')
    .option('--replace', 'these become all the limits that the project has of its own', false)
    .addHelpText('after', RESOURCES)
    .action(async (pairs: readonly string[], given: SetOptions) => {
      process.exitCode = await tell(() => set(pairs, given), given.json, quotaText);
    });
  options(quota.command('delete').description('remove the limits that a project has of its own; the defaults hold'))
    .requiredOption('--project <id>', 'of this project')
    .action(async (given: QuotaOptions) => {
      process.exitCode = await tell(() => remove(given), given.json, quotaText);
    });
}

function options(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--json', 'the answer as JSON', false);
}

function set(pairs: readonly string[], { url, project, replace }: SetOptions): Promise<Quotas> {
  const limits = Object.fromEntries(pairs.map(limitOf));
  const kept = replace ? Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null)) : limits;
  return ask(url, pathOf(project), { limits: kept }, replace ? 'PUT' : 'PATCH');
}

/** @returns what holds now */
async function remove({ url, project = '' }: QuotaOptions): Promise<Quotas> {
  await ask(url, pathOf(project), undefined, 'DELETE');
  return ask(url, `/v1/quotas?project_id=${encodeURIComponent(project)}`);
}

function pathOf(project = ''): string {
  return `/v1/quotas/${encodeURIComponent(project)}`;
}

/** Names of aliases may have `=` in them; limits have not. */
function limitOf(pair: string): [string, number | null] {
  const at = pair.lastIndexOf('=');
  const [resource, limit] = [pair.slice(0, Math.max(at, 0)), pair.slice(at + 1)];
  if (resource !== '' && limit === 'default') return [resource, null];
  if (resource !== '' && limit === 'unlimited') return [resource, -1];
  if (resource !== '' && /^\d{1,15}$/.test(limit)) return [resource, Number(limit)];
  throw new BerthError('request.invalid', `"${pair}": has to be RESOURCE=LIMIT, like alias:gpu=8 or servers=unlimited`);
}
