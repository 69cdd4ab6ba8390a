import { ANY_DEVICE, type AliasSpec } from './alias.js';
import type { DeviceType } from '../device.js';
import type { Dialect } from '../dialect.js';

/** Neutron's words for ports that take a PCI device. */
export const VNIC_TYPES = [
  'direct',
  'direct-physical',
  'macvtap',
  'virtio-forwarder',
  'vdpa',
  'remote-managed',
] as const;
export type VnicType = (typeof VNIC_TYPES)[number];

/** What a port says of the device that it wants. */
export interface PortDemand {
  readonly vnicType: VnicType;
  /** null: an overlay network. */
  readonly physicalNetwork: string | null;
  /** null: does not matter. */
  readonly trusted: boolean | null;
}

const TYPES: Readonly<Record<VnicType, DeviceType>> = {
  direct: 'type-VF',
  'direct-physical': 'type-PF',
  macvtap: 'type-VF',
  'virtio-forwarder': 'type-VF',
  vdpa: 'vdpa',
  'remote-managed': 'type-VF',
};

/**
 * The device that a port takes (rules: Nova's `nova/network/neutron.py`).
 *
 * Mended against Nova, unless the dialect is Nova's: a port on an overlay network takes only a device whose entry says
 * `physical_network: null`. In Nova it takes any VF without that tag, so also a GPU's.
 */
export function portSpec(demand: PortDemand, dialect: Dialect = 'strict'): AliasSpec {
  const { vnicType, physicalNetwork, trusted } = demand;
  if (dialect === 'nova') return novaPortSpec(demand);
  return {
    ...ANY_DEVICE,
    deviceType: TYPES[vnicType],
    tags: {
      physical_network: physicalNetwork,
      remote_managed: String(vnicType === 'remote-managed'),
      ...(trusted === null ? {} : { trusted: String(trusted) }),
    },
  };
}

/** Nova names no type for VFs: what is no PF and no vDPA device is left, and a plain device has no `remote_managed`. */
function novaPortSpec({ vnicType, physicalNetwork, trusted }: PortDemand): AliasSpec {
  const type = TYPES[vnicType];
  return {
    ...ANY_DEVICE,
    deviceType: type === 'type-VF' ? null : type,
    tags: {
      physical_network: physicalNetwork,
      remote_managed: vnicType === 'remote-managed' ? 'True' : 'False',
      ...(trusted === null ? {} : { trusted: trusted ? 'True' : 'False' }),
    },
  };
}
