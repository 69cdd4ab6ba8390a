import { BerthError } from '../src/errors.js';
import type { DeviceType } from '../src/pci/device.js';
import { transition, type DeviceEvent, type DeviceState, type DeviceStatus } from '../src/pci/device-state.js';

interface DevstateInput {
  readonly devices: readonly {
    readonly address: string;
    readonly dev_type: DeviceType;
    readonly parent_addr: string | null;
    readonly status: DeviceStatus;
    readonly instance: string | null;
  }[];
  readonly steps: readonly { readonly op: DeviceEvent; readonly address: string; readonly instance?: string | null }[];
}

/**
 * Answers one case of area `devstate`: what each step changes in the life of a few devices.
 *
 * @param input the case's input, well formed
 */
export function answerDevstate(input: unknown): unknown {
  const { devices, steps } = input as DevstateInput;
  const states = new Map(family(devices).map((state) => [state.address, state]));
  const answers = steps.map((step) => ({
    ...take(states, step),
    devices: [...states.values()].map(({ address, status, ownerId }) => [address, status, ownerId]),
  }));
  return { steps: answers };
}

function take(states: Map<string, DeviceState>, step: DevstateInput['steps'][number]): object {
  try {
    const [device, ...relatives] = transition(states, step.op, step.address, step.instance ?? null, 'nova');
    const changed = device ? [...relatives, device] : [];
    for (const state of changed) states.set(state.address, state);
    return step.op === 'free' ? { freed: changed.map((state) => state.address) } : {};
  } catch (error) {
    return { error: novaName(error), kind: 'nova' };
  }
}

/** Who is a relative of whom is settled at the start, among the devices that are there then. */
function family(devices: DevstateInput['devices']): DeviceState[] {
  const present = devices.filter((device) => !['removed', 'deleted'].includes(device.status));
  const pfs = new Set(present.filter((device) => device.dev_type === 'type-PF').map((device) => device.address));
  return devices.map((device) => {
    const isChild = ['type-VF', 'vdpa'].includes(device.dev_type) && present.includes(device);
    const hasParent = isChild && device.parent_addr !== null && pfs.has(device.parent_addr);
    return {
      address: device.address,
      deviceType: device.dev_type,
      parentAddress: hasParent ? device.parent_addr : null,
      status: device.status,
      ownerId: device.instance,
    };
  });
}

function novaName(error: unknown): string {
  if (!(error instanceof BerthError)) throw error;
  const kin = error.details.kin === 'VF' ? 'PciDeviceVFInvalidStatus' : 'PciDevicePFInvalidStatus';
  const names: Readonly<Record<string, string>> = {
    'device.invalid_status': 'PciDeviceInvalidStatus',
    'device.invalid_owner': 'PciDeviceInvalidOwner',
    'device.relative_in_use': kin,
  };
  return names[error.code] ?? error.code;
}
