import { explainDevices } from '../explain-devices.js';
import { freeCount } from '../supply.js';
import { explainAsNova, supportsAsNova } from '../nova/fit-host.js';
import type { HostSnapshot } from '../snapshot.js';
import type { Filter, FilterContext } from './filter.js';

/**
 * Enough free devices for every request taken alone: cheap, asked of every host. Whether they fit together is decided
 * exactly by `fitHost`, on the hosts in the order of their weight, and reported under this name.
 */
export const pciPassthroughFilter: Filter = {
  name: 'PciPassthroughFilter',
  passes: hasEnough,
  explain: (host, context) => {
    if (hasEnough(host, context)) return [];
    const { request, policy } = context;
    return policy.compat === 'nova'
      ? explainAsNova(host, request.devices)
      : explainDevices(host, request.devices, null);
  },
};

function hasEnough(host: HostSnapshot, { request, policy }: FilterContext): boolean {
  return policy.compat === 'nova'
    ? supportsAsNova(host, request.devices)
    : request.devices.every((wanted) => freeCount(host, wanted) >= wanted.count);
}
