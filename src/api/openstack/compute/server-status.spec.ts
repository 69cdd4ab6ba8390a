import { describe, expect, it } from 'vitest';
import { novaStatus } from './server-status.js';

describe('the status of a server in the words of Nova', () => {
  it.each([
    ['BUILD', 'scheduling', 'BUILD building scheduling 0'],
    ['BUILD', 'waiting', 'BUILD building scheduling 0'],
    ['BUILD', 'preparing', 'BUILD building spawning 0'],
    ['ACTIVE', null, 'ACTIVE active null 1'],
    ['ACTIVE', 'attaching', 'ACTIVE active null 1'],
    ['ERROR', null, 'ERROR error null 0'],
    ['DELETING', 'releasing', 'ACTIVE active deleting 1'],
    ['DELETED', null, 'DELETED deleted null 0'],
  ] as const)('%s with task %s is %s', (status, task_state, expected) => {
    const { status: shown, vmState, taskState, powerState } = novaStatus({ status, task_state });
    expect(`${shown} ${vmState} ${taskState} ${powerState}`).toBe(expected);
  });
});
