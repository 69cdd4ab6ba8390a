import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { FAILED } from '../verbs/failures.js';
import { filled, type GivenWait, json, onOrOff, wholeNumber, withWait } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { actVerb, listVerb, showVerb } from '../verbs/verbs.js';
import { watched } from '../verbs/waiting.js';

type Pf = Schemas['SriovView'];

interface GivenSet extends GivenWait {
  readonly vfCount: number;
  readonly autoprobe?: boolean;
  readonly vfs?: Schemas['SriovBody']['vfs'];
}

const COLUMNS: readonly Column<Pf>[] = [
  ...(['address', 'netdevs', 'driver', 'num_vfs', 'total_vfs'] as const),
  { name: 'wanted', of: ({ wanted }) => wanted?.vf_count ?? null },
  { name: 'said_by', of: ({ wanted }) => wanted && (wanted.where ?? wanted.source) },
  { name: 'state', of: ({ wanted }) => wanted?.state ?? null },
  { name: 'problems', of: problemsOf },
];
const LONG: readonly Column<Pf>[] = [
  ...(['vendor_id', 'product_id'] as const),
  { name: 'autoprobe', of: ({ wanted }) => wanted?.autoprobe ?? null },
  { name: 'vfs', of: ({ wanted }) => wanted?.vfs ?? null },
  { name: 'asked_at', of: ({ wanted }) => wanted?.asked_at ?? null },
];

const HELP = `
What is said here holds until it is unset, also after a reboot, and before what a file of the host says. With --wait the
command ends with 1 when the host refuses, or has not done it in time.`;

/** `berth sriov`. */
export function addSriov(noun: Noun): void {
  listVerb(noun, 'list <host>', 'the PFs of a host, how many VFs they have, and who says how many they shall have', {
    rows: (session: Session, _given: unknown, host: string) => pfsOf(session, host),
    columns: COLUMNS,
    long: LONG,
  });
  showVerb(noun, 'set <host> <address>', 'say how many VFs a PF shall have, and how they shall be', {
    options: (command) =>
      withWait(command, 'until the host has done or refused it')
        .requiredOption('--vf-count <n>', 'all VFs go and come when it changes', wholeNumber)
        .option('--autoprobe <on|off>', "whether the host's drivers take new VFs", onOrOff)
        .option('--vfs <json>', 'by VF: {"*": {"trust": false}, "0": {"mac": "02:00:00:00:00:01", "vlan": 7}}', json),
    help: HELP,
    one: set,
    fields: [...COLUMNS, ...LONG],
    codeOf: async (_session: Session, { wait }: GivenSet, { wanted }) =>
      wait && wanted?.state !== 'applied' ? FAILED : 0,
  });
  actVerb(noun, 'unset <host> <address>', 'say no longer what shall be; VFs stay, unless a file of the host differs', {
    act: ({ rest, ask }: Session, _given: unknown, host: string, address: string) =>
      ask(rest.DELETE('/v1/hosts/{host}/sriov/{address}', { params: { path: { host, address } } })),
  });
}

async function pfsOf({ rest, ask }: Session, host: string): Promise<Pf[]> {
  return (await ask(rest.GET('/v1/hosts/{host}/sriov', { params: { path: { host } } }))).pfs;
}

async function set(session: Session, given: GivenSet, host: string, address: string): Promise<Pf> {
  const body = { vf_count: given.vfCount, ...filled({ autoprobe: given.autoprobe, vfs: given.vfs }) };
  const params = { path: { host, address } };
  const asked = await session.ask(session.rest.PUT('/v1/hosts/{host}/sriov/{address}', { params, body }));
  if (!given.wait) return asked;
  return watched(
    async () => (await pfsOf(session, host)).find((one) => one.address === asked.address) ?? asked,
    ({ wanted }) => wanted?.state !== 'applying',
    ({ num_vfs }) => `${asked.address}: ${num_vfs} VFs`,
    given.timeout,
  );
}

function problemsOf({ wanted }: Pf): string[] {
  if (wanted === null) return [];
  const ofVfs = wanted.vf_problems.map(({ vf, step, message }) => `VF ${vf}, ${step}: ${message}`);
  return [...(wanted.message === null ? [] : [wanted.message]), ...ofVfs];
}
