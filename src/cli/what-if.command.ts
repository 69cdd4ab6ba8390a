import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { BerthError, messageOf } from '../errors.js';
import { counted, table } from './preview-text.js';
import { ask, tell } from './rest-question.js';

/** What is read of the answer of `POST /v1/placements/what-if`. */
interface WhatIf {
  readonly hosts_before: number;
  readonly hosts_after: number;
  readonly requests: readonly {
    readonly name: string;
    readonly before: Copies;
    readonly after: Copies;
    readonly gain: number;
  }[];
}

interface Copies {
  readonly asked: number;
  readonly placed: number;
  readonly message: string | null;
}

const HELP = `
The file is the body of POST /v1/placements/what-if, as YAML or JSON:
  changes:
    - {kind: add_hosts, like: gpu-1, count: 4}
    - {kind: lose_host, host: gpu-2}
  requests:
    - {flavor: m1.gpu, copies: 100}
Further changes: enable_host (host), free_server (server_id), hold_device, lift_hold and lose_device (host, address).
Nothing is changed, here or there. Exit code: 0, or 2 when there is no answer.`;

/** `berth what-if`. */
export function addWhatIfCommand(program: Command): void {
  program
    .command('what-if <file>')
    .description('what would have a place if hosts, devices, servers or whitelists were others; - is standard input')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--json', 'the answer as JSON', false)
    .addHelpText('after', HELP)
    .action(async (file: string, { url, json }: { url: string; json: boolean }) => {
      const question = async (): Promise<WhatIf> => ask(url, '/v1/placements/what-if', questionIn(file));
      process.exitCode = await tell(question, json, whatIfText);
    });
}

function questionIn(file: string): object {
  let question: unknown;
  try {
    question = parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (cause) {
    throw new BerthError('request.invalid', `${file}: ${messageOf(cause)}`, { cause });
  }
  if (typeof question === 'object' && question !== null && !Array.isArray(question)) return question;
  throw new BerthError('request.invalid', `${file}: has to be an object with changes and requests`);
}

function whatIfText({ hosts_before, hosts_after, requests }: WhatIf): string {
  const rows = requests.map(({ name, before, after, gain }) => {
    const change = gain > 0 ? `+${gain}` : String(gain);
    return [name, ...[before.asked, before.placed, after.placed].map(String), change];
  });
  const refused = requests.filter(({ after }) => after.message !== null);
  return [
    `${counted(hosts_before, 'host', 'hosts')} now, ${hosts_after} then`,
    '',
    ...table(['request', 'asked', 'now', 'then', 'change'], rows),
    ...refused.map(({ name, after }) => `${name}, then: ${after.message}`),
    '',
  ].join('\n');
}
