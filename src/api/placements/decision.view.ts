import { ApiProperty } from '@nestjs/swagger';
import type { Decision, HostRejection, HostScore, Placement } from '../../placement/decision.js';
import { DISTANCES, type Distance } from '../../pci/topology.js';
import { BerthError } from '../../errors.js';
import { WordField } from '../fields.js';
import { type Caller, isAdmin } from '../identity/caller.js';
import { projectReason } from './project-reason.js';

export const VIEWS = ['admin', 'project'] as const;
export type View = (typeof VIEWS)[number];

export class ViewQuery {
  @WordField({
    words: VIEWS,
    optional: true,
    description:
      'Of whom: `project` has counts, classes and reasons, but no hosts, no other servers, and no addresses of devices that ' +
      "are not the server's own; `admin` has all. What an administrator leaves out is `admin`, for others it is `project`.",
  })
  view?: View;
}

/**
 * The view that somebody gets who asks for one.
 *
 * @throws BerthError `auth.forbidden` when it is the administrators' and he is none
 */
export function viewFor(caller: Caller, asked: View | undefined): View {
  if (isAdmin(caller)) return asked ?? 'admin';
  if (asked !== 'admin') return 'project';
  throw new BerthError('auth.forbidden', 'view: admin is for administrators; say project, or leave it out');
}

/** Who looks. */
export interface Audience {
  readonly view: View;
  /** Ids of the devices that the server has. */
  readonly own: ReadonlySet<string>;
}

export const ADMIN: Audience = { view: 'admin', own: new Set() };

const FREE_FORM = { type: 'object', additionalProperties: true } as const;
const ADMINS_ONLY = 'Empty for a project.';

export class NamedReasonView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, description: 'With the names of servers and the addresses of devices.' })
  readonly message: string;
  @ApiProperty(FREE_FORM) readonly details: Readonly<Record<string, unknown>>;
}

export class ReasonView {
  @ApiProperty({ type: String, example: 'device.all_in_use' }) readonly code: string;
  @ApiProperty({ type: String, description: 'Equal for all of the hosts; of a single host, with names for admins.' })
  readonly message: string;
  @ApiProperty({
    ...FREE_FORM,
    description: 'As on the first of the hosts. About devices: `classes` counts them by ids, type and NUMA node.',
  })
  readonly details: Readonly<Record<string, unknown>>;
  @ApiProperty({ type: [NamedReasonView], description: `As it is on the first of the hosts. ${ADMINS_ONLY}` })
  readonly named: readonly NamedReasonView[];
}

export class HostRejectionView {
  @ApiProperty({ type: String, example: 'PciPassthroughFilter' }) readonly filter: string;
  @ApiProperty({ type: [String], description: `At most 20; \`host_count\` has the full number. ${ADMINS_ONLY}` })
  readonly hosts: readonly string[];
  @ApiProperty({ type: 'integer' }) readonly host_count: number;
  @ApiProperty({ type: [ReasonView] }) readonly reasons: readonly ReasonView[];
}

const NOT_OWN = "null: for a project, when the device is not the server's own.";

export class ChosenDeviceView {
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: NOT_OWN }) readonly device_id:
    string | null;
  @ApiProperty({ type: String, nullable: true, description: NOT_OWN }) readonly address: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'null: a port asked for it, or it only comes along.' })
  readonly alias: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Name of the port that asked for it.' })
  readonly port: string | null;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'null: comes along, for its IOMMU group, slot or card.',
  })
  readonly request_index: number | null;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Which of the alternatives of its alias it is, where they have utilities.',
  })
  readonly alternative: number | null;
}

export class ConstraintOutcomeView {
  @ApiProperty({ type: 'integer', description: 'Which of the topology constraints.' }) readonly constraint: number;
  @ApiProperty({ type: Boolean }) readonly met: boolean;
  @ApiProperty({ type: String, enum: [...DISTANCES], description: 'The farthest that two of its devices are apart.' })
  readonly distance: Distance;
  @ApiProperty({
    type: 'array',
    items: { type: 'array', items: { type: 'string' } },
    description: "Of a pair: which device is served by which. Empty for a project, when they are not the server's own.",
  })
  readonly pairs: readonly (readonly string[])[];
  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'Whether its devices reach each other through the root complex only; null: not known.',
  })
  readonly acs_redirect: boolean | null;
}

export class HostScoreView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: Number }) readonly total: number;
  @ApiProperty({
    type: 'object',
    description: 'By weigher.',
    additionalProperties: {
      type: 'object',
      required: ['raw', 'normalized', 'weighted'],
      properties: { raw: { type: 'number' }, normalized: { type: 'number' }, weighted: { type: 'number' } },
    },
  })
  readonly parts: HostScore['parts'];
}

/** What was decided, and why. */
export class DecisionView {
  @ApiProperty({ type: String, enum: ['placed', 'rejected'] }) readonly outcome: 'placed' | 'rejected';
  @ApiProperty({ type: String, nullable: true }) readonly host: string | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true }) readonly host_id: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: "The host's generation that was decided on." })
  readonly generation: number | null;
  @ApiProperty({ type: [ChosenDeviceView] }) readonly devices: readonly ChosenDeviceView[];
  @ApiProperty({
    type: 'array',
    items: { type: 'integer' },
    nullable: true,
    description: "Host NUMA nodes of the guest's, in order.",
  })
  readonly numa_cells: readonly number[] | null;
  @ApiProperty({
    type: String,
    enum: [...DISTANCES],
    nullable: true,
    description: 'The farthest that two requested devices are apart; null: fewer than two, or not recorded.',
  })
  readonly spread: Distance | null;
  @ApiProperty({ type: [ConstraintOutcomeView] }) readonly constraints: readonly ConstraintOutcomeView[];
  @ApiProperty({ type: [HostScoreView], description: `The winner first. ${ADMINS_ONLY}` })
  readonly scores: readonly HostScoreView[];
  @ApiProperty({ type: String, nullable: true, description: 'Of a rejection: the commonest cause.' })
  readonly message: string | null;
  @ApiProperty({ type: [HostRejectionView] }) readonly rejections: readonly HostRejectionView[];
  @ApiProperty({ type: 'integer' }) readonly hosts_considered: number;
}

export function decisionView(decision: Decision, audience: Audience = ADMIN): DecisionView {
  const rejections = decision.rejections.map((rejection) => rejectionFor(rejection, audience));
  return {
    outcome: decision.outcome,
    ...(decision.outcome === 'placed' ? placed(decision, audience) : NOWHERE),
    message: decision.outcome === 'rejected' ? messageFor(decision.message, rejections, audience) : null,
    rejections,
    hosts_considered: decision.hostsConsidered,
  };
}

type Where = Pick<
  DecisionView,
  'host' | 'host_id' | 'generation' | 'devices' | 'numa_cells' | 'spread' | 'constraints' | 'scores'
>;

const NOWHERE: Where = {
  ...{ host: null, host_id: null, generation: null, devices: [], numa_cells: null },
  ...{ spread: null, constraints: [], scores: [] },
};

function placed(placement: Placement, { view, own }: Audience): Where {
  const isAdmin = view === 'admin';
  const knowsAll = isAdmin || placement.devices.every(({ deviceId }) => own.has(deviceId));
  return {
    host: isAdmin ? placement.hostName : null,
    host_id: isAdmin ? placement.hostId : null,
    generation: isAdmin ? placement.generation : null,
    devices: placement.devices.map((device) => ({
      device_id: isAdmin || own.has(device.deviceId) ? device.deviceId : null,
      address: isAdmin || own.has(device.deviceId) ? device.address : null,
      alias: device.alias,
      port: device.port ?? null,
      request_index: device.requestIndex,
      alternative: device.alternative ?? null,
    })),
    numa_cells: placement.numaCells,
    spread: placement.spread ?? null,
    constraints: (placement.constraints ?? []).map(({ constraint, met, distance, pairs = [], acsRedirect = null }) => ({
      ...{ constraint, met, distance, pairs: knowsAll ? pairs : [], acs_redirect: acsRedirect },
    })),
    scores: isAdmin ? placement.scores.map(({ host, total, parts }) => ({ host, total, parts })) : [],
  };
}

/** A decision's own message names hosts; a project is told the commonest cause in words that are safe. */
function messageFor(message: string, rejections: readonly HostRejectionView[], { view }: Audience): string {
  if (view === 'admin') return message;
  const [first] = rejections;
  if (!first) return 'No valid host.';
  const why = first.reasons.map((reason) => reason.message).join('; ') || first.filter;
  if (first.host_count === 0) return `${why}.`; // the request is refused, not its hosts
  return `No valid host: ${why} (${first.filter}, ${first.host_count} host${first.host_count === 1 ? '' : 's'}).`;
}

/** For administrators. */
export function rejectionView(rejection: HostRejection): HostRejectionView {
  return rejectionFor(rejection, ADMIN);
}

export function rejectionFor(
  { filter, hosts, hostCount, reasons }: HostRejection,
  { view }: Audience,
): HostRejectionView {
  if (view === 'project') {
    const safe = reasons.map((reason) => ({ ...projectReason(reason), named: [] }));
    return { filter, hosts: [], host_count: hostCount, reasons: safe };
  }
  return {
    ...{ filter, hosts, host_count: hostCount },
    reasons: reasons.map(({ code, message, details, names = [] }) => {
      const [only] = hostCount === 1 ? names : [];
      return { code, message: only?.message ?? message, details, named: names };
    }),
  };
}
