import { describe, expect, it } from 'vitest';
import type { ComputeServerRow } from '../../../store/compute-servers.store.js';
import { aRequest } from '../../../../test/support/snapshots.js';
import { hostnameFor, reservationIdOf, serverView } from './servers.views.js';

const ID = '88c4e72c-fcd0-4944-b9c7-cda5369f2487';
const BASE = 'http://berth.example:8790';

function aRow(more: Partial<ComputeServerRow> = {}): ComputeServerRow {
  return {
    ...{ id: ID, name: 'vm3', project_id: 'p1', status: 'ACTIVE', vm_state: 'active', task: null, zone: 'nova' },
    ...{ flavor: null, request: aRequest([]), fault: null, group_id: null, gang_id: null, gang_place: null },
    ...{ created_at: new Date('2026-11-21T01:26:12.345Z'), updated_at: new Date('2026-11-21T01:27:58Z') },
    ...{ host_name: 'host2', host_state: 'up', host_enabled: true, launched_at: null, terminated_at: null },
    ...{
      user_id: 'u1',
      description: null,
      metadata: {},
      tags: [],
      key_name: null,
      config_drive: false,
      user_data: null,
    },
    ...{ access_ipv4: null, access_ipv6: null, hostname: null, image_id: null, disk_config: 'MANUAL' },
    ...more,
  };
}

const shown = (more: Partial<ComputeServerRow>, minor = 93, isAdmin = true): Record<string, unknown> =>
  serverView(aRow(more), { minor, base: BASE, isAdmin }, 'show') as Record<string, unknown>;

describe('a server as Nova shows it', () => {
  // the value is what Nova's own function gives for project p1 and host host2
  it('hides its host behind the same hash as Nova', () => {
    expect(shown({}).hostId).toBe('f94c1f1c4d0074580d4972589b0b205e9e468caa77ffd24395cd55c3');
    expect(shown({ host_name: null }).hostId).toBe('');
  });

  it.each<[Partial<ComputeServerRow>, string]>([
    [{}, 'UP'],
    [{ host_state: 'down' }, 'UNKNOWN'],
    [{ host_enabled: false, host_state: 'down' }, 'MAINTENANCE'],
    [{ host_name: null, host_state: null, host_enabled: null }, ''],
  ])('of %j has the host status %s', (more, status) => expect(shown(more).host_status).toBe(status));

  it('has no flavor below 2.47 to link to when it was asked for without one, and its size from there on', () => {
    expect(shown({}, 46).flavor).toMatchObject({ id: '' });
    expect(shown({}, 47).flavor).toMatchObject({ original_name: '', ephemeral: 0, swap: 0, extra_specs: {} });
  });

  it('writes times with seconds, and times of its running with microseconds', () => {
    const view = shown({ launched_at: new Date('2026-11-21T01:26:13Z') });
    expect(view).toMatchObject({
      created: '2026-11-21T01:26:12Z',
      'OS-SRV-USG:launched_at': '2026-11-21T01:26:13.000000',
    });
  });

  it.each([
    ['placement.no_valid_host', 'No valid host was found.'],
    ['quota.exceeded', 'The project would have more than its quota.'],
    ['guest.unheard_of', 'The server could not be placed or prepared.'],
  ])('tells of the fault %s in words that name nothing', (code, message) => {
    const fault = { code, message: 'on secret-host', details: {} };
    const view = shown({ status: 'ERROR', vm_state: 'error', fault }, 93, false);
    expect(view.fault).toEqual({ code: 500, created: '2026-11-21T01:27:58Z', message });
    expect(shown({ fault }).fault).toBeUndefined();
  });

  it('shows in a list no groups, and after a change before 2.75 no states', () => {
    const audience = { minor: 93, base: BASE, isAdmin: true };
    expect(serverView(aRow({ group_id: ID }), audience, 'show')).toMatchObject({ server_groups: [ID] });
    expect(serverView(aRow(), audience, 'detail')).not.toHaveProperty('server_groups');
    expect(serverView(aRow(), { ...audience, minor: 74 }, 'update')).not.toHaveProperty('OS-EXT-STS:vm_state');
    expect(serverView(aRow(), { ...audience, minor: 75 }, 'update')).toHaveProperty('OS-EXT-STS:vm_state');
  });

  it('is one of a call', () => {
    expect(reservationIdOf(aRow({ gang_id: '00000000-0000-4000-8000-000000000001' }))).toBe(
      'r-00000000000040008000000000000001',
    );
    expect(shown({ gang_place: 3 })['OS-EXT-SRV-ATTR:launch_index']).toBe(2);
  });
});

describe('the host name of a server', () => {
  it.each([
    ['My VM_1.example', 'my-vm-1-example'],
    ['-dash-', 'dash'],
    ['ünï', 'n'],
    ['日本', `server-${ID}`],
    ['a'.repeat(80), 'a'.repeat(63)],
  ])('of %s is %s', (name, hostname) => expect(hostnameFor(name, ID)).toBe(hostname));
});
