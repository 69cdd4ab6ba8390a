import { describe, expect, it } from 'vitest';
import { novaStatus, type StatusFacts } from './server-status.js';

const AT_REST: StatusFacts = { status: 'ACTIVE', task_state: null, vm_state: 'active', action: null };

describe('the status of a server in the words of Nova', () => {
  it.each<[Partial<StatusFacts>, string]>([
    [{ status: 'BUILD', task_state: 'scheduling' }, 'BUILD building scheduling 0'],
    [{ status: 'BUILD', task_state: 'waiting' }, 'BUILD building scheduling 0'],
    [{ status: 'BUILD', task_state: 'preparing' }, 'BUILD building spawning 0'],
    [{}, 'ACTIVE active null 1'],
    [{ task_state: 'attaching' }, 'ACTIVE active null 1'],
    [{ vm_state: 'stopped' }, 'SHUTOFF stopped null 4'],
    [{ vm_state: 'stopped', action: 'start' }, 'SHUTOFF stopped powering-on 4'],
    [{ action: 'stop' }, 'ACTIVE active powering-off 1'],
    [{ action: 'reboot' }, 'REBOOT active reboot_started 1'],
    [{ vm_state: 'stopped', action: 'reboot_hard' }, 'HARD_REBOOT stopped reboot_started_hard 4'],
    [{ action: 'rebuild' }, 'REBUILD active rebuilding 1'],
    [{ vm_state: 'paused' }, 'PAUSED paused null 3'],
    [{ vm_state: 'suspended' }, 'SUSPENDED suspended null 7'],
    [{ vm_state: 'error' }, 'ERROR error null 0'],
    [{ status: 'SHELVED' }, 'SHELVED_OFFLOADED shelved_offloaded null 4'],
    [
      { status: 'BUILD', task_state: 'preparing', action: 'unshelve' },
      'SHELVED_OFFLOADED shelved_offloaded unshelving 4',
    ],
    [{ status: 'ERROR', vm_state: 'stopped' }, 'ERROR error null 0'],
    [{ status: 'DELETING', task_state: 'releasing', vm_state: 'paused' }, 'PAUSED paused deleting 3'],
    [{ status: 'DELETED', vm_state: 'stopped' }, 'DELETED deleted null 0'],
  ])('%o is %s', (facts, expected) => {
    const { status, vmState, taskState, powerState } = novaStatus({ ...AT_REST, ...facts });
    expect(`${status} ${vmState} ${taskState} ${powerState}`).toBe(expected);
  });
});
