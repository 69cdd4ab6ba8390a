import type { NumaPolicy } from '../pci/alias/numa-policy.js';
import { constraintText } from './constraint-text.js';
import {
  requestLabel,
  SOFT_CONSTRAINTS_MAX,
  type DeviceRequest,
  type HostWishes,
  type PlacementRequest,
  type TopologyConstraint,
} from './request.js';
import type { Relaxation } from './smallest-change-step.js';

/** Costs order the answers; the units mean nothing. What a request gives up itself is cheaper than work on hosts. */
const COSTS = { preferConstraint: 1, dropConstraint: 3, numaPolicy: 1, fewerDevices: 2, dropWish: 2 } as const;
/** The weight that a constraint gets when it becomes a wish. */
const PREFERRED_WEIGHT = 100;

/** Policies that allow more than one does, from little more to all. */
const WEAKER: Readonly<Record<NumaPolicy, readonly NumaPolicy[]>> = {
  required: ['socket', 'legacy', 'preferred'],
  socket: ['preferred'],
  legacy: ['preferred'],
  preferred: [],
};

/** These do not look at devices, nor at wishes for hosts. */
const ROOM = ['RetryFilter', 'ComputeFilter', 'CoreFilter', 'RamFilter', 'DiskFilter'];
const DEVICES = ['NUMATopologyFilter', 'PciPassthroughFilter'];

const touchesDevices = (filter: string): boolean => !ROOM.includes(filter);
const touchesWishes = (filter: string): boolean => !ROOM.includes(filter) && !DEVICES.includes(filter);

/** All that can be asked for less of a request; of one thing the least first. */
export function relaxationsOf(request: PlacementRequest): Relaxation[] {
  return [
    ...(request.constraints ?? []).flatMap((_constraint, index) => constraintSteps(request, index)),
    ...request.devices.flatMap((_devices, index) => [...policySteps(request, index), ...countSteps(request, index)]),
    ...wishSteps(request),
  ];
}

function constraintSteps(request: PlacementRequest, index: number): Relaxation[] {
  const constraints = request.constraints ?? [];
  const constraint = constraints[index];
  if (!constraint || constraint.weight !== null) return [];
  const text = constraintText(constraint, request.devices);
  const slot = `constraint ${index}`;
  const common = { about: 'request', slot, touches: touchesDevices, details: { constraint: index, text } } as const;
  const prefer: Relaxation = {
    ...common,
    kind: 'prefer_constraint',
    cost: COSTS.preferConstraint,
    sentence: `make "${text}" preferred, not required`,
    relax: (other) => withConstraint(other, constraint, [{ ...constraint, weight: PREFERRED_WEIGHT }]),
  };
  const drop: Relaxation = {
    ...common,
    kind: 'drop_constraint',
    cost: COSTS.dropConstraint,
    sentence: `drop "${text}"`,
    relax: (other) => withConstraint(other, constraint, []),
  };
  const tooMany = constraints.filter(({ weight }) => weight !== null).length >= SOFT_CONSTRAINTS_MAX;
  return tooMany ? [drop] : [prefer, drop];
}

/** Found by identity: another step may have dropped one before it. */
function withConstraint(
  request: PlacementRequest,
  constraint: TopologyConstraint,
  instead: readonly TopologyConstraint[],
): PlacementRequest {
  const constraints = (request.constraints ?? []).flatMap((other) => (other === constraint ? instead : other));
  return { ...request, constraints };
}

function policySteps({ devices }: PlacementRequest, index: number): Relaxation[] {
  const request = devices[index] as DeviceRequest;
  return WEAKER[request.numaPolicy].map((policy, at) => ({
    kind: 'weaker_numa_policy',
    about: 'request',
    slot: `policy ${index}`,
    cost: COSTS.numaPolicy + at,
    touches: touchesDevices,
    sentence: `NUMA policy ${policy} instead of ${request.numaPolicy} for ${requestLabel(request)}`,
    details: { request_index: index, alias: request.alias, from: request.numaPolicy, to: policy },
    relax: (other) => withDevices(other, index, { numaPolicy: policy }),
  }));
}

function countSteps({ devices }: PlacementRequest, index: number): Relaxation[] {
  const request = devices[index] as DeviceRequest;
  const { alias, count } = request;
  return Array.from({ length: Math.max(0, count - 1) }, (_unused, at) => {
    const fewer = count - 1 - at;
    return {
      kind: 'fewer_devices',
      about: 'request',
      slot: `count ${index}`,
      cost: COSTS.fewerDevices * (count - fewer),
      touches: touchesDevices,
      sentence: `ask for ${fewer} instead of ${count} of ${request.port ? requestLabel(request) : `alias ${alias}`}`,
      details: { request_index: index, alias, from: count, to: fewer },
      relax: (other) => withDevices(other, index, { count: fewer }),
    };
  });
}

function withDevices(request: PlacementRequest, index: number, change: Partial<DeviceRequest>): PlacementRequest {
  return { ...request, devices: request.devices.map((one, at) => (at === index ? { ...one, ...change } : one)) };
}

function wishSteps({ host = {} }: PlacementRequest): Relaxation[] {
  const steps: Relaxation[] = [];
  const add = (wish: string, value: unknown, sentence: string, without: (wishes: HostWishes) => HostWishes): void => {
    steps.push({
      kind: 'drop_wish',
      about: 'request',
      slot: `wish ${wish} ${String(value)}`,
      cost: COSTS.dropWish,
      touches: touchesWishes,
      ...{ sentence, details: { wish, value } },
      relax: (request) => ({ ...request, host: without(request.host ?? {}) }),
    });
  };
  if (host.availabilityZone !== undefined) {
    const zone = host.availabilityZone;
    add('availability_zone', zone, `any availability zone, not only ${zone}`, (all) => less(all, 'availabilityZone'));
  }
  if (host.sameHost) add('same_host', host.sameHost, 'drop the hint same_host', (all) => less(all, 'sameHost'));
  if (host.differentHost) {
    add('different_host', host.differentHost, 'drop the hint different_host', (all) => less(all, 'differentHost'));
  }
  if (host.group) {
    const { name, policy } = host.group;
    add('group', name, `leave the server group ${name} (${policy})`, (all) => less(all, 'group'));
  }
  for (const trait of host.requiredTraits ?? []) {
    add('required_trait', trait, `do not require the host trait ${trait}`, (all) => ({
      ...all,
      requiredTraits: (all.requiredTraits ?? []).filter((other) => other !== trait),
    }));
  }
  for (const trait of host.forbiddenTraits ?? []) {
    add('forbidden_trait', trait, `do not forbid the host trait ${trait}`, (all) => ({
      ...all,
      forbiddenTraits: (all.forbiddenTraits ?? []).filter((other) => other !== trait),
    }));
  }
  return steps;
}

function less(wishes: HostWishes, name: keyof HostWishes): HostWishes {
  const { [name]: _dropped, ...rest } = wishes;
  return rest;
}
