import { describe, expect, it } from 'vitest';
import type { UsedServer } from '../../../store/server-usage.store.js';
import { usageViews } from './usage.views.js';

const at = (hour: number): Date => new Date(Date.UTC(2026, 10, 22, hour));
const TIMES = { start: at(10), stop: at(14), now: at(15) };
const server = (id: string, from: number, to: number | null, more: Partial<UsedServer> = {}): UsedServer => ({
  ...{ id, name: id, project_id: 'red', status: to === null ? 'ACTIVE' : 'DELETED', flavor: { name: 'm1' } },
  ...{ vcpus: 2, memory_mb: 512, disk_gb: 10, started_at: at(from), ended_at: to === null ? null : at(to), ...more },
});

describe('what projects used', () => {
  it.each([
    ['all the time', server('s', 9, null), 4],
    ['from within', server('s', 12, null), 2],
    ['to within', server('s', 8, 11), 1],
    ['within', server('s', 11, 13), 2],
    ['before', server('s', 8, 9), 0],
    ['after', server('s', 14, 15), 0],
  ])('%s', (_when, one, hours) => {
    expect(usageViews([one], TIMES, false)).toEqual([
      {
        ...{ tenant_id: 'red', total_hours: hours, total_vcpus_usage: 2 * hours, total_local_gb_usage: 10 * hours },
        ...{ total_memory_mb_usage: 512 * hours },
        ...{ start: '2026-11-22T10:00:00.000000', stop: '2026-11-22T14:00:00.000000' },
      },
    ]);
  });

  it('by project, and by server', () => {
    const servers = [
      server('a', 9, null),
      server('b', 13, null, { project_id: 'blue', flavor: null }),
      server('c', 10, 11),
    ];
    const views = usageViews(servers, TIMES, true);
    expect(views).toMatchObject([
      { tenant_id: 'red', total_hours: 5, server_usages: [{ instance_id: 'a' }, { instance_id: 'c' }] },
      { tenant_id: 'blue', total_hours: 1 },
    ]);
    expect(views).toMatchObject([
      {
        server_usages: [
          { state: 'active', ended_at: null, uptime: 6 * 3600, flavor: 'm1', hours: 4 },
          { state: 'terminated', ended_at: '2026-11-22T11:00:00.000000', uptime: 3600 },
        ],
      },
      { server_usages: [{ flavor: '', uptime: 2 * 3600, local_gb: 10, memory_mb: 512, vcpus: 2 }] },
    ]);
  });
});
