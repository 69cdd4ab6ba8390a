import type { DeviceRequest, TopologyConstraint } from './request.js';
import { topologyText, type TopologyWish } from './topology-text.js';

type TopologyName = TopologyWish['names'][number];

/** A constraint as a user would have written it: `gpu,nic within PXB`. */
export function constraintText(
  { requests: indexes, ...rule }: TopologyConstraint,
  requests: readonly DeviceRequest[],
): string {
  const names = indexes.map((index): TopologyName => {
    const { alias, port } = requests[index] as DeviceRequest;
    return port ? { kind: 'port', name: port.name } : { kind: 'alias', name: alias ?? '' };
  });
  return topologyText([{ ...rule, names }]);
}
