import type { Copies, HostCount } from '../../placement/capacity.js';
import { ADMIN, type Audience, decisionView } from './decision.view.js';
import type { CopiesView, HostCountView } from './placements.dto.js';

const HOSTS_SHOWN_MAX = 1_000;

export function copiesView(
  asked: number,
  { count, perHost, limitedBy }: Copies,
  audience: Audience = ADMIN,
): CopiesView {
  const limit = limitedBy && decisionView(limitedBy, audience);
  return {
    asked,
    placed: count,
    hosts: audience.view === 'admin' ? perHost.slice(0, HOSTS_SHOWN_MAX).map(hostCountView) : [],
    message: limit?.message ?? null,
    rejections: limit?.rejections ?? [],
  };
}

export function hostCountView({ host, hostId, count }: HostCount): HostCountView {
  return { host, host_id: hostId, count };
}
