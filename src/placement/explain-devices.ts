import { aliasMatches, hasConditions, isOfKind } from '../pci/alias/alias-match.js';
import type { Reason } from './decision.js';
import { classCounts, classesFor, listed, obstacleOf, type Obstacle } from './explain-devices-states.js';
import { withheldFor, type Withheld } from './explain-withheld.js';
import { nearMisses, missTexts, type NearMiss } from './near-misses.js';
import { requestLabel, requestPhrase, type DeviceRequest } from './request.js';
import { SEARCH_STEPS_MAX } from './search.js';
import type { Selection } from './select-devices.js';
import { shareReason, shareSupply } from './shares.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';
import { freeCount } from './supply.js';
import { groupKind } from './whole-groups.js';

/** How much the details of a reason keep. */
const DEVICES_KEPT = 64;
const MISSES_KEPT = 16;

/**
 * Why a host's devices cannot serve: one reason for each request that cannot be served alone; if each could, the one
 * that says what they compete for. Messages and details are equal for equal hosts and safe for everybody; who has what,
 * and where, is in `names`.
 */
export function explainDevices(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  selection: Exclude<Selection, { outcome: 'feasible' }> | null,
): Reason[] {
  const alone = requests.flatMap((request) => explainRequest(host, request) ?? []);
  if (alone.length > 0 || !selection) return alone;
  return [explainTogether(host, requests, selection)];
}

/** What a reason about one request is told from. */
interface Findings {
  readonly request: DeviceRequest;
  readonly matching: readonly SnapshotDevice[];
  /** Of each that matches. */
  readonly obstacles: readonly (Obstacle | null)[];
  readonly free: number;
  readonly kept: KeptBack | null;
  readonly near: readonly NearMiss[];
  readonly withheld: Withheld | null;
}

function explainRequest(host: HostSnapshot, request: DeviceRequest): Reason | null {
  if (request.share !== undefined) return shareSupply(host, request) > 0 ? null : shareReason(host, request);
  const kind = groupKind(request);
  const matching = host.devices.filter((device) => aliasMatches(request.specs, device));
  const obstacles = matching.map((device) => obstacleOf(host, device, kind));
  const freeAlone = obstacles.reduce((count, obstacle) => (obstacle === null ? count + 1 : count), 0);
  const free = kind === null ? freeAlone : freeCount(host, request);
  if (free >= request.count) return null;
  const others = request.specs.some(hasConditions) ? otherDevices(host, request) : [];
  // devices of other networks are no news to a port that has some of its own
  const near = request.port && matching.length > 0 ? [] : nearMisses(others, request);
  const withheld = withheldFor(host, request);
  const findings = { request, matching, obstacles, free, kept: keptBack(others, request), near, withheld };
  const safe = causesOf(findings, 'text');
  const { code, message } =
    matching.length === 0 ? noneMatching(findings, 'text') : someMatching(findings, safe, 'text');
  const named = matching.length === 0 ? noneMatching(findings, 'named') : someMatching(findings, safe, 'named');
  return {
    code,
    message,
    details: detailsOf(findings, code),
    ...(tellsNames(findings) && { names: [{ host: host.name, message: named.message, details: namesOf(findings) }] }),
  };
}

/** Of free devices there is nothing to tell but that they are there. */
function tellsNames({ obstacles, near, withheld }: Findings): boolean {
  return withheld !== null || near.length > 0 || obstacles.some((obstacle) => obstacle !== null);
}

function detailsOf(
  { request, matching, obstacles, free, kept, near, withheld }: Findings,
  code: string,
): Reason['details'] {
  return {
    alias: request.alias,
    ...(request.port && { port: request.port.name }),
    wanted: request.count,
    matching: matching.length,
    free,
    classes: classCounts(matching, obstacles),
    ...(withheld && { withheld: withheld.details }),
    ...(code === 'device.exclusive_tag' && kept && { exclusive_tags: kept.tags }),
    ...(near.length > 0 && {
      near_misses: near.slice(0, MISSES_KEPT).map(({ alternative, condition, because, addresses }) => ({
        ...{ alternative, condition, because, count: addresses.length },
      })),
    }),
  };
}

function namesOf({ matching, near }: Findings): Reason['details'] {
  return {
    devices: matching.slice(0, DEVICES_KEPT).map((device) => ({
      address: device.address,
      status: device.missing ? 'missing' : device.status,
      server_id: device.owner?.serverId ?? null,
      server: device.owner?.serverName ?? null,
      ...(device.reservation && { reservation: device.reservation.name }),
    })),
    ...(near.length > 0 && {
      near_misses: near.slice(0, MISSES_KEPT).map(({ addresses }) => addresses.slice(0, DEVICES_KEPT)),
    }),
  };
}

/** With names and addresses, or without. */
type Voice = 'text' | 'named';
type Sentence = Pick<Reason, 'code' | 'message'>;

function noneMatching({ request, kept, near, withheld }: Findings, voice: Voice): Sentence {
  const none = `no device ${requestPhrase(request)}`;
  const misses = missTexts(near, request, voice === 'named');
  const why = [...(kept ? [`${kept.count} ${kept.text}`] : []), ...misses, ...withheldTexts(withheld, voice)];
  if (why.length === 0) return { code: 'device.none_matching', message: none };
  const code = kept?.code ?? (near.length > 0 ? 'device.near_miss' : (withheld?.code ?? 'device.none_matching'));
  return { code, message: `${none}: ${why.join('; ')}` };
}

function withheldTexts(withheld: Withheld | null, voice: Voice): readonly string[] {
  return (voice === 'text' ? withheld?.texts : withheld?.named) ?? [];
}

/** @param safe the causes without names: how many there are makes the sentence, with names or without */
function someMatching(findings: Findings, safe: readonly Cause[], voice: Voice): Sentence {
  const { code, message } = causesText(findings, safe, voice);
  return { code, message: [message, ...withheldTexts(findings.withheld, voice)].join('; ') };
}

function causesText(findings: Findings, safe: readonly Cause[], voice: Voice): Sentence {
  const { request, matching, free, near } = findings;
  const causes = voice === 'text' ? safe : causesOf(findings, voice);
  const total = totalText(request, matching.length);
  const onlyCode = free === 0 && safe.length === 1 && near.length === 0 ? safe[0]?.code : undefined;
  if (onlyCode !== undefined) {
    const [only, ...more] = causes;
    const why = more.length === 0 ? `${together(matching.length)}${only?.text}` : causes.map(countedText).join('; ');
    return { code: onlyCode, message: `${total}, ${why}` };
  }
  const why = [...causes.map(countedText), ...missTexts(near, request, voice === 'named')].join('; ');
  const counts = countsText(request, matching.length, free);
  const message = why === '' ? `${total}, ${counts.replace(/[,;] $/, '')}` : `${total}: ${counts}${why}`;
  return { code: 'device.not_enough_free', message };
}

function countedText({ count, text }: Cause): string {
  return `${count} ${text}`;
}

/** Devices of the right kind that do not satisfy the request. */
function otherDevices(host: HostSnapshot, { specs }: DeviceRequest): SnapshotDevice[] {
  return host.devices.filter((device) => specs.some((spec) => isOfKind(spec, device)) && !aliasMatches(specs, device));
}

function totalText(request: DeviceRequest, matching: number): string {
  return `${matching} device${matching === 1 ? '' : 's'} ${requestPhrase(request)}`;
}

function countsText(request: DeviceRequest, matching: number, free: number): string {
  const kind = groupKind(request);
  if (kind !== null) return `${request.count} whole ${kind}${request.count === 1 ? '' : 's'} wanted, ${free} free; `;
  return matching < request.count ? `${request.count} wanted, ` : `${request.count} wanted, ${free} free; `;
}

/** "both " and "all 3 ": the sentence goes on with what all of them are. */
function together(count: number): string {
  return count === 1 ? '' : count === 2 ? 'both ' : `all ${count} `;
}

interface KeptBack extends Cause {
  readonly tags: readonly string[];
}

/** Of devices of the right kind those that only an exclusive tag keeps from the request, and what to do about it; null: none. */
function keptBack(others: readonly SnapshotDevice[], request: DeviceRequest): KeptBack | null {
  if (others.length === 0) return null;
  const exclusive = [...new Set(request.specs.flatMap((spec) => spec.withoutTags))];
  const tagged = others.filter(({ tags }) => exclusive.some((tag) => Object.hasOwn(tags, tag)));
  if (tagged.length === 0) return null;
  const open = request.specs.map((spec) => ({ ...spec, withoutTags: [] }));
  const kept = tagged.filter((device) => aliasMatches(open, device));
  if (kept.length === 0) return null;
  const tags = exclusive.filter((tag) => kept.some((device) => Object.hasOwn(device.tags, tag)));
  const text =
    `kept for requests that name ${listed(tags)}: ask by a port, write the tag into the alias (REST or YAML), ` +
    'or change pci.exclusive_tags';
  return { code: 'device.exclusive_tag', text, count: kept.length, tags };
}

interface Cause {
  readonly code: string;
  readonly text: string;
  readonly count: number;
}

/** What keeps devices from being free, each cause once: what is in use first. */
function causesOf({ obstacles, kept }: Findings, voice: Voice): Cause[] {
  const users: string[] = [];
  let inUse = 0;
  const others = new Map<string, Cause>();
  for (const obstacle of obstacles) {
    if (!obstacle) continue;
    if (obstacle.kind === 'in_use') {
      inUse++;
      if (obstacle.server !== null) users.push(obstacle.server);
      continue;
    }
    const text = obstacle[voice];
    others.set(text, { code: obstacle.code, text, count: (others.get(text)?.count ?? 0) + 1 });
  }
  const by = voice === 'named' && users.length > 0 ? ` by ${listed(users)}` : '';
  const used = inUse === 0 ? [] : [{ code: 'device.all_in_use', text: `in use${by}`, count: inUse }];
  return [...used, ...others.values(), ...(kept ? [kept] : [])];
}

function explainTogether(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  selection: Exclude<Selection, { outcome: 'feasible' }>,
): Reason {
  const all = requests.map((_request, index) => index);
  if (selection.outcome === 'budget') {
    return {
      code: 'device.search_budget',
      message: `the search for devices was given up after ${SEARCH_STEPS_MAX} steps: whether there is a choice is not known`,
      details: { classes: classesFor(host, requests) },
    };
  }
  const named = (indexes: readonly number[]): string => indexes.map((index) => labelAt(requests, index)).join(' and ');
  if (selection.competition) {
    const { requests: indexes, wanted, free } = selection.competition;
    return {
      code: 'device.compete',
      message: `${named(indexes)} compete for the same devices: ${wanted} wanted, ${free} free`,
      details: {
        requests: indexes.map((index) => requests[index]?.alias ?? labelAt(requests, index)),
        ...{
          wanted,
          free,
          classes: classesFor(
            host,
            indexes.flatMap((index) => requests[index] ?? []),
          ),
        },
      },
    };
  }
  return {
    code: 'device.exclusive',
    message:
      `${named(all)} cannot be served together: a PF and its VFs, devices of one IOMMU group, or of one slot or card that ` +
      'is wanted whole, exclude each other',
    details: { classes: classesFor(host, requests) },
  };
}

function labelAt(requests: readonly DeviceRequest[], index: number): string {
  const request = requests[index];
  return request ? requestLabel(request) : '';
}
