import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { counted, table } from './preview-text.js';
import { ask, tell } from './rest-question.js';

const POLL_MS = 1_000;

interface EvacuateOptions {
  readonly url: string;
  readonly server: readonly string[];
  readonly reason?: string;
  readonly force: boolean;
  readonly disable: boolean;
  readonly retry: boolean;
  readonly wait: boolean;
  readonly timeout: string;
  readonly json: boolean;
}

/** What is read of the answer of `POST /v1/hosts/{host}/evacuate`. */
interface Plan {
  readonly host: string;
  readonly servers: readonly { readonly server_id: string; readonly name: string; readonly will: string }[];
}

/** What is read of the answer of `GET /v1/hosts/{host}/evacuation`. */
interface Progress {
  readonly host: string;
  readonly done: boolean;
  readonly releasing: number;
  readonly servers: readonly {
    readonly server_id: string;
    readonly name: string;
    readonly progress: string;
    readonly to: string | null;
    readonly reason: string | null;
  }[];
}

const HELP = `
Servers leave when another host takes them; one for which there is no room stays where it is. Exit code:
  0  asked for; with --wait: every server has left, and every device is given back
  1  with --wait: some have not left in time, or have to be moved by whoever asked for them
  2  there is no answer`;

/** `berth host evacuate` and `berth host remove`. @param host the command that they are put below */
export function addEvacuateCommands(host: Command): void {
  const several = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
  host
    .command('evacuate <host>')
    .description('have the servers of a host placed elsewhere')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--server <id>', 'only this server; may be repeated', several, [])
    .option('--reason <text>', 'for the history of the servers')
    .option('--force', 'servers leave also when no host takes them, and wait for room', false)
    .option('--no-disable', 'the host goes on to take servers')
    .option('--no-retry', 'a server for which there is no room is not tried again')
    .option('--wait', 'until it is done', false)
    .option('--timeout <seconds>', 'how long to wait', '600')
    .option('--json', 'the answer as JSON', false)
    .addHelpText('after', HELP)
    .action(async (name: string, options: EvacuateOptions) => {
      const path = `/v1/hosts/${encodeURIComponent(name)}`;
      const plan = (): Promise<Plan> => ask(options.url, `${path}/evacuate`, bodyOf(options));
      process.exitCode = options.wait
        ? await tell(() => plan().then(() => waited(options, path)), options.json, progressText, codeOf)
        : await tell(plan, options.json, planText);
    });
  host
    .command('remove <host>')
    .description('say that a host is gone: its devices are forgotten')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--force', 'also a host that is up, or enabled; never one that servers are on', false)
    .action(async (name: string, { url, force }: { readonly url: string; readonly force: boolean }) => {
      const path = `/v1/hosts/${encodeURIComponent(name)}${force ? '?force=true' : ''}`;
      process.exitCode = await tell(
        () => ask<null>(url, path, undefined, 'DELETE'),
        false,
        () => `Host ${name} is forgotten.\n`,
      );
    });
}

function bodyOf({ server, reason, force, disable, retry }: EvacuateOptions): object {
  return {
    ...(server.length > 0 && { server_ids: server }),
    ...(reason !== undefined && { reason }),
    ...{ force, disable, wait: retry },
  };
}

/** The progress when it is done, or when the time is over. */
async function waited({ url, timeout }: EvacuateOptions, path: string): Promise<Progress> {
  const deadline = Date.now() + Number(timeout) * 1000;
  for (;;) {
    const progress = await ask<Progress>(url, `${path}/evacuation`);
    if (progress.done || !(Date.now() < deadline)) return progress;
    await sleep(POLL_MS);
  }
}

function codeOf({ done, servers }: Progress): number {
  const isAway = ({ progress }: { readonly progress: string }): boolean => progress === 'moved' || progress === 'gone';
  return done && servers.every(isAway) ? 0 : 1;
}

function planText({ host, servers }: Plan): string {
  if (servers.length === 0) return `No servers are on host ${host}.\n`;
  const rows = servers.map(({ server_id, name, will }) => [name, server_id, will.replace('_', ' ')]);
  return [
    `${counted(servers.length, 'server', 'servers')} of host ${host}:`,
    '',
    ...table(['server', 'id', ''], rows),
    '',
  ].join('\n');
}

function progressText({ host, done, releasing, servers }: Progress): string {
  const rows = servers.map(({ server_id, name, progress, to, reason }) => [
    ...[name, server_id, progress.replace('_', ' '), to ?? '', reason ?? ''],
  ]);
  const left = releasing === 0 ? '' : `; ${counted(releasing, 'claim is', 'claims are')} still to be given back`;
  return [
    `Host ${host}: ${done ? 'done' : 'not done'}${left}.`,
    ...(rows.length > 0 ? ['', ...table(['server', 'id', '', 'to', ''], rows)] : []),
    '',
  ].join('\n');
}
