import { BerthError } from '../../src/errors.js';
import { transition, type DeviceEvent, type DeviceState, type DeviceStatus } from '../../src/pci/device-state.js';
import type { Dialect } from '../../src/pci/dialect.js';

export const PF = '0000:05:00.0';
export const VF1 = '0000:05:02.0';
export const VF2 = '0000:05:02.1';
export const ALONE = '0000:06:00.0';

export type Sketch = DeviceStatus | `${DeviceStatus} of ${string}`;
export type Card = readonly [pf: Sketch, vf1: Sketch, vf2: Sketch];
export type Step = readonly [event: DeviceEvent, address: string, owner?: string];

export function device(address: string, parentAddress: string | null, sketch: Sketch): DeviceState {
  const [status, ownerId = null] = sketch.split(' of ') as [DeviceStatus, string?];
  return { address, deviceType: parentAddress ? 'type-VF' : 'type-PF', parentAddress, status, ownerId };
}

/** The VFs come first, and in the wrong order, so that nothing relies on the order of the map. */
export function card([pf, vf1, vf2]: Card = ['available', 'available', 'available']): Map<string, DeviceState> {
  const states = [device(VF2, PF, vf2), device(VF1, PF, vf1), device(PF, null, pf)];
  const alone: DeviceState = { ...device(ALONE, null, 'available'), deviceType: 'type-PCI' };
  return new Map([alone, ...states].map((state) => [state.address, state]));
}

export function run(devices: Map<string, DeviceState>, steps: readonly Step[], dialect?: Dialect): string[] {
  for (const [event, address, owner] of steps) {
    for (const changed of transition(devices, event, address, owner ?? null, dialect)) {
      devices.set(changed.address, changed);
    }
  }
  return [PF, VF1, VF2].map((address) => sketchOf(devices.get(address)));
}

export function sketchOf(state: DeviceState | undefined): string {
  return state?.ownerId == null ? `${state?.status}` : `${state.status} of ${state.ownerId}`;
}

export function refusal(
  devices: Map<string, DeviceState>,
  [event, address, owner]: Step,
  dialect?: Dialect,
): BerthError {
  try {
    transition(devices, event, address, owner ?? null, dialect);
  } catch (error) {
    if (error instanceof BerthError) return error;
    throw error;
  }
  throw new Error(`${event} was allowed`);
}
