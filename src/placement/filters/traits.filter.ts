import type { Reason } from '../decision.js';
import type { HostSnapshot } from '../snapshot.js';
import type { Filter, JudgedRequest } from './filter.js';

/** The host has every required trait (`trait:NAME=required`) and no forbidden one. In Nova, Placement sees to that. */
export const traitsFilter: Filter = {
  name: 'TraitsFilter',
  passes: ({ traits }, { request }) =>
    requiredBy(request).every((trait) => traits.includes(trait)) &&
    !forbiddenBy(request).some((trait) => traits.includes(trait)),
  explain: ({ traits }: HostSnapshot, { request }): Reason[] => {
    const missing = requiredBy(request).filter((trait) => !traits.includes(trait));
    const present = forbiddenBy(request).filter((trait) => traits.includes(trait));
    return [
      ...missing.map((trait) => ({
        code: 'trait.missing',
        message: `trait ${trait} wanted, the host does not have it`,
        details: { trait },
      })),
      ...present.map((trait) => ({
        code: 'trait.forbidden',
        message: `trait ${trait} not wanted, the host has it`,
        details: { trait },
      })),
    ];
  },
};

function requiredBy({ host }: JudgedRequest): readonly string[] {
  return host?.requiredTraits ?? [];
}

function forbiddenBy({ host }: JudgedRequest): readonly string[] {
  return host?.forbiddenTraits ?? [];
}
