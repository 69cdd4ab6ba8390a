import { describe, expect, it } from 'vitest';
import type { ComputeHostRow } from '../../../store/compute-hosts.store.js';
import { hypervisorDetailView, hypervisorView, statisticsView, uptimeOf } from './hypervisors.views.js';

const NOW = new Date('2026-11-22T12:30:00Z');

function host(differing: Partial<ComputeHostRow> = {}): ComputeHostRow {
  return {
    ...{
      id: '4a0b3e9e-0000-4000-8000-000000000001',
      number: 1,
      name: 'host-1',
      status: 'up',
      enabled: true,
      zone: 'nova',
    },
    ...{ disabled_reason: null, forced_down: false, last_seen_at: NOW, vcpus: 8, memory_mb: 1024, disk_gb: 10 },
    ...{ reserved: null, cell_count: 1, capabilities: null, ip_address: null, booted_at: null },
    ...{ used_vcpus: 1, used_memory_mb: 24, used_disk_gb: 2, server_count: 1, busy_count: 1 },
    ...differing,
  };
}

describe('views of hypervisors', () => {
  it.each([
    ['2026-11-22T12:29:30Z', '12:30:00 up 0:00'],
    ['2026-11-22T02:05:00Z', '12:30:00 up 10:25'],
    ['2026-11-21T12:29:00Z', '12:30:00 up 1 day, 0:01'],
    ['2026-01-01T12:30:00Z', '12:30:00 up 325 days, 0:00'],
    // a clock that was set back
    ['2026-11-23T00:00:00Z', '12:30:00 up 0:00'],
  ])('booted at %s is %s', (bootedAt, uptime) =>
    expect(uptimeOf(host({ booted_at: new Date(bootedAt) }), NOW)).toBe(uptime),
  );

  it('a host that is down has no uptime', () => {
    expect(uptimeOf(host({ booted_at: NOW, status: 'down' }), NOW)).toBeNull();
    expect(uptimeOf(host(), NOW)).toBeNull();
  });

  it.each([
    [1, ['cpu_info', 'vcpus']],
    [87, ['cpu_info', 'vcpus']],
    [88, ['uptime']],
  ])('2.%i has %j of the fields that came and went', (minor, fields) => {
    const view = hypervisorDetailView(host(), { minor, now: NOW, servers: null });
    expect(['cpu_info', 'uptime', 'vcpus'].filter((field) => field in view)).toEqual(fields);
  });

  it.each([
    [53, null, undefined],
    [53, [], undefined],
    [75, [], []],
    [75, null, undefined],
    [53, [{ id: 'a', name: 'vm' }], [{ uuid: 'a', name: 'vm' }]],
  ])('2.%i with servers %j shows %j', (minor, servers, shown) => {
    const byHost = servers === null ? null : new Map([[host().id, servers]]);
    const view = hypervisorView(host(), { minor, now: NOW, servers: byHost }) as { servers?: unknown };
    expect(view.servers).toEqual(shown);
  });

  it('sums are of hosts that are enabled, whether they are up or not', () => {
    const hosts = [
      host(),
      host({ status: 'down', reserved: { vcpus: 1, memory_mb: 100, disk_gb: 1 } }),
      host({ enabled: false }),
    ];
    expect(statisticsView(hosts)).toMatchObject({
      ...{ count: 2, vcpus: 16, vcpus_used: 3, free_ram_mb: 1900, free_disk_gb: 15, running_vms: 2 },
    });
  });
});
