import { explainDevices } from '../explain-devices.js';
import { freeCount } from '../supply.js';
import { explainAsNova, supportsAsNova } from '../nova/fit-host.js';
import type { Filter } from './filter.js';

/**
 * Enough free devices for every request taken alone: cheap, asked of every host. Whether they fit together is decided
 * exactly by `fitHost`, on the hosts in the order of their weight, and reported under this name.
 */
export const pciPassthroughFilter: Filter = {
  name: 'PciPassthroughFilter',
  passes: (host, { request, policy }) =>
    policy.compat === 'nova'
      ? supportsAsNova(host, request.devices)
      : request.devices.every((wanted) => freeCount(host, wanted) >= wanted.count),
  explain: (host, { request, policy }) =>
    policy.compat === 'nova' ? explainAsNova(host, request.devices) : explainDevices(host, request.devices, null),
};
