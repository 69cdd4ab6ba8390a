import type { Command } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { FAILED } from '../verbs/failures.js';
import { filled, positive } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, showVerb } from '../verbs/verbs.js';
import { demandOf, type GivenDemand, reservationOf, withDemand } from './demand.js';

type Placement = Schemas['PlacementView'];
type Answer = Schemas['PlacementAnswerView'];
type DryRun = Schemas['DryRunView'];

interface GivenPlacement extends GivenDemand {
  readonly reservation?: string;
}

interface GivenDryRun extends GivenPlacement {
  readonly copies?: number;
  readonly changes: boolean;
}

const host: Column<{ readonly host?: Schemas['PlacedHostView'] | null }> = {
  name: 'host',
  text: (placement) => placement.host?.name ?? '',
};
const devices: Column<{ readonly devices?: readonly Schemas['PlacedDeviceView'][] }> = {
  name: 'devices',
  text: (placement) => (placement.devices ?? []).map(({ address, alias }) => `${address} ${alias ?? ''}`).join('\n'),
};
const COLUMNS = ['id', 'key', 'name', 'state', host as Column<Placement>] as const;
const LONG = [devices as Column<Placement>, 'project_id', 'fault', 'created_at'] as const;

/** `berth placement`: devices without a server of Berth's around them. */
export function addPlacement(noun: Noun): void {
  showVerb(noun, 'create <name>', 'claim devices for a workload that somebody else starts', {
    options: (command) =>
      withReservation(command).option('--key <key>', 'of the caller: asked again with it, the answer is the same'),
    one: create,
    fields: ['id', 'key', 'outcome', host as Column<Answer>, devices as Column<Answer>, 'code', 'message', 'replayed'],
    codeOf: refusalCode,
  });
  listVerb(noun, 'list', 'placements', {
    options: (command) =>
      command.option('--host <host>', 'only on this host').option('--project <id>', 'only of this project'),
    rows: ({ rest, all }: Session, { host: on, project }: { host?: string; project?: string }) => {
      const filter = filled({ host: on, project_id: project });
      return all((query) => rest.GET('/v1/placements', { params: { query: { ...query, ...filter } } }));
    },
    columns: COLUMNS,
    long: LONG,
  });
  showVerb(noun, 'show <id>', 'one placement', {
    one: ({ rest, ask }: Session, _given: unknown, id: string) =>
      ask(rest.GET('/v1/placements/{id}', { params: { path: { id } } })),
    fields: [...COLUMNS, ...LONG],
  });
  eachVerb(noun, 'delete <id...>', 'give the devices of placements back', {
    what: 'placement delete',
    act: ({ rest, ask }: Session, _given: unknown, id) =>
      ask(rest.DELETE('/v1/placements/{id}', { params: { path: { id } } })),
  });
  addQuestions(noun);
}

function addQuestions(noun: Noun): void {
  showVerb(noun, 'decision show <id>', 'why a placement is where it is', {
    one: ({ rest, ask }: Session, _given: unknown, id: string) =>
      ask(rest.GET('/v1/placements/{id}/decision', { params: { path: { id } } })),
    fields: ['host', 'score', 'class_size', 'generation', 'decided_at', 'first'],
  });
  showVerb(
    noun,
    'dry-run',
    'where a server would go, and why not elsewhere; nothing is changed. Ends with 1 if nowhere',
    {
      options: (command) =>
        withReservation(command)
          .option('--copies <n>', 'how many of them would have room, too', positive)
          .option('--no-changes', 'do not look for what would make it fit'),
      one: dryRun,
      fields: [
        ...(['outcome', 'host', 'message', 'devices', 'numa_cells', 'hosts_considered'] as const),
        { name: 'rejections', text: ({ rejections }) => rejections.map(rejectionText).join('\n') },
        { name: 'changes', text: ({ changes }) => (changes?.changes ?? []).map(changeText).join('\n') },
        { name: 'copies', text: ({ copies }) => (copies ? `${copies.placed} of ${copies.asked}` : '') },
        ...(['constraints', 'spread', 'scores', 'generation'] as const),
      ],
      codeOf: async (_session: Session, _given: GivenDryRun, { outcome }) => (outcome === 'placed' ? 0 : FAILED),
    },
  );
  showVerb(
    noun,
    'preemption show',
    'which servers would give way to one; nothing is changed. Ends with 1 if it fits nowhere',
    {
      options: withReservation,
      one: async (session: Session, given: GivenPlacement) =>
        session.ask(session.rest.POST('/v1/placements/preemption-preview', { body: await bodyOf(session, given) })),
      fields: ['outcome', 'host', 'victims', 'least', 'message'],
      codeOf: async (_session: Session, _given: GivenPlacement, { outcome }) => (outcome === 'rejected' ? FAILED : 0),
    },
  );
}

function withReservation(command: Command): Command {
  return withDemand(command).option('--reservation <reservation>', 'with the devices of this reservation');
}

async function bodyOf(session: Session, given: GivenPlacement): Promise<Schemas['DryRunBody']> {
  const reservation = await reservationOf(session, given.reservation);
  return { ...(await demandOf(session, given)), ...filled({ reservation }) };
}

async function create(session: Session, given: GivenPlacement & { key?: string }, name: string): Promise<Answer> {
  const one = { ...(await bodyOf(session, given)), name, ...filled({ key: given.key }) };
  const { placements } = await session.ask(session.rest.POST('/v1/placements', { body: { placements: [one] } }));
  const [answer] = placements;
  if (!answer) throw new Error('the answer has no placement in it');
  return answer;
}

async function refusalCode(
  _session: Session,
  _given: GivenPlacement,
  { outcome, code, message }: Answer,
): Promise<number> {
  if (outcome === 'placed') return 0;
  process.stderr.write(`berth: ${code ?? outcome}: ${message ?? 'no host'}\n`);
  return FAILED;
}

async function dryRun(session: Session, given: GivenDryRun): Promise<DryRun> {
  const body = { ...(await bodyOf(session, given)), ...filled({ copies: given.copies }) };
  const params = { query: { changes: given.changes } };
  return session.ask(session.rest.POST('/v1/placements/dry-run', { params, body }));
}

function rejectionText({ filter, host_count, hosts, reasons }: Schemas['HostRejectionView']): string {
  const named = hosts.length > 0 ? `: ${hosts.join(', ')}` : '';
  return [`${host_count} by ${filter}${named}`, ...reasons.map(({ message }) => `  ${message}`)].join('\n');
}

function changeText({ steps }: Schemas['SmallestChangeView']): string {
  return steps.map(({ sentence }) => sentence).join(', AND ');
}
