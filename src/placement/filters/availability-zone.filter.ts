import type { Filter } from './filter.js';

/** The host is in the zone that the server asks for. */
export const availabilityZoneFilter: Filter = {
  name: 'AvailabilityZoneFilter',
  passes: ({ availabilityZone }, { request }) => {
    const wanted = request.host?.availabilityZone;
    return wanted === undefined || wanted === availabilityZone;
  },
  explain: ({ availabilityZone: found }, { request }) => {
    const wanted = request.host?.availabilityZone;
    if (wanted === undefined || wanted === found) return [];
    const message = `availability zone ${wanted} wanted, the host is in ${found}`;
    return [{ code: 'zone.other', message, details: { wanted, found } }];
  },
};
