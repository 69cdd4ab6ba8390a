import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import { table } from './preview-text.js';
import { ask, tell } from './rest-question.js';

const POLL_MS = 1_000;

interface SriovOptions {
  readonly url: string;
  readonly json: boolean;
}

interface SetOptions extends SriovOptions {
  readonly vfCount: string;
  readonly autoprobe?: string;
  readonly vfs?: string;
  readonly wait: boolean;
  readonly timeout: string;
}

/** What is read of a PF in the answers of `/v1/hosts/{host}/sriov`. */
interface Pf {
  readonly address: string;
  readonly driver: string | null;
  readonly netdevs: readonly string[];
  readonly num_vfs: number;
  readonly total_vfs: number;
  readonly wanted: {
    readonly source: string;
    readonly where: string | null;
    readonly vf_count: number;
    readonly state: string;
    readonly message: string | null;
    readonly vf_problems: readonly { readonly vf: number; readonly step: string; readonly message: string }[];
  } | null;
}

const HELP = `
What is said here holds until it is forgotten, also after a reboot, and before what a file of the host says. Exit code:
  0  asked for; with --wait: it is so
  1  with --wait: it was refused, or is not so in time
  2  there is no answer, or somebody uses the PF or a VF`;

/** `berth sriov list`, `set` and `forget`. */
export function addSriovCommand(program: Command): void {
  const sriov = program.command('sriov').description('how many VFs PFs have, and shall have');
  options(sriov.command('list <host>').description('the PFs of a host and who says what shall be')).action(
    async (host: string, { url, json }: SriovOptions) => {
      process.exitCode = await tell(
        () => ask<{ pfs: Pf[] }>(url, pathOf(host)),
        json,
        ({ pfs }) => listText(pfs),
      );
    },
  );
  options(sriov.command('set <host> <address>').description('say how many VFs a PF shall have, and how they shall be'))
    .requiredOption('--vf-count <n>', 'all VFs go and come when it changes')
    .option('--autoprobe <on|off>', "whether the host's drivers take new VFs")
    .option('--vfs <json>', 'settings by VF: {"*": {"trust": false}, "0": {"mac": "02:00:00:00:00:01", "vlan": 7}}')
    .option('--wait', 'until the host has done or refused it', false)
    .option('--timeout <seconds>', 'how long to wait', '120')
    .addHelpText('after', HELP)
    .action(async (host: string, address: string, given: SetOptions) => {
      const codeOf = ({ wanted }: Pf): number => (given.wait && wanted?.state !== 'applied' ? 1 : 0);
      process.exitCode = await tell(
        () => set(host, address, given),
        given.json,
        (pf) => listText([pf]),
        codeOf,
      );
    });
  options(
    sriov.command('forget <host> <address>').description('say no longer what shall be; VFs stay as they are'),
  ).action(async (host: string, address: string, { url }: SriovOptions) => {
    const path = pathOf(host, address);
    process.exitCode = await tell(
      () => ask<null>(url, path, undefined, 'DELETE'),
      false,
      () => `Forgotten. VFs of ${address} stay as they are, unless a file of the host says what shall be.\n`,
    );
  });
}

function options(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--json', 'the answer as JSON', false);
}

function pathOf(host: string, address?: string): string {
  const path = `/v1/hosts/${encodeURIComponent(host)}/sriov`;
  return address === undefined ? path : `${path}/${encodeURIComponent(address)}`;
}

async function set(host: string, address: string, given: SetOptions): Promise<Pf> {
  const asked = await ask<Pf>(given.url, pathOf(host, address), bodyOf(given), 'PUT');
  const deadline = Date.now() + Number(given.timeout) * 1000;
  for (let pf = asked; ;) {
    if (!given.wait || pf.wanted?.state !== 'applying' || !(Date.now() < deadline)) return pf;
    await sleep(POLL_MS);
    const { pfs } = await ask<{ pfs: Pf[] }>(given.url, pathOf(host));
    pf = pfs.find((one) => one.address === asked.address) ?? pf;
  }
}

function bodyOf({ vfCount, autoprobe, vfs }: SetOptions): object {
  if (!/^\d{1,5}$/.test(vfCount)) throw new BerthError('request.invalid', `--vf-count: "${vfCount}" is not a number`);
  if (autoprobe !== undefined && autoprobe !== 'on' && autoprobe !== 'off') {
    throw new BerthError('request.invalid', `--autoprobe: "${autoprobe}" is neither on nor off`);
  }
  return {
    vf_count: Number(vfCount),
    ...(autoprobe !== undefined && { autoprobe: autoprobe === 'on' }),
    ...(vfs !== undefined && { vfs: jsonOf(vfs) }),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BerthError('request.invalid', '--vfs: is not JSON', { cause });
  }
}

function listText(pfs: readonly Pf[]): string {
  if (pfs.length === 0) return 'No device of this host can have VFs.\n';
  const rows = pfs.map(({ address, driver, netdevs, num_vfs, total_vfs, wanted }) => [
    ...[address, netdevs.join(' '), driver ?? 'none', `${num_vfs} of ${total_vfs}`],
    ...(wanted ? [String(wanted.vf_count), wanted.where ?? wanted.source, wanted.state] : ['', '', '']),
  ]);
  const problems = pfs.flatMap(({ address, wanted }) => [
    ...(wanted?.message ? [`${address}: ${wanted.message}`] : []),
    ...(wanted?.vf_problems ?? []).map(({ vf, step, message }) => `${address}: VF ${vf}, ${step}: ${message}`),
  ]);
  const text = table(['PF', 'interface', 'driver', 'VFs', 'shall be', 'said by', 'state'], rows);
  return [...text, ...(problems.length > 0 ? ['', ...problems] : []), ''].join('\n');
}
