import type { Reason } from '../decision.js';
import type { HostSnapshot } from '../snapshot.js';
import { aggregateKeys, aggregateValues } from './aggregate-metadata.js';
import { meetsExtraSpec } from './extra-spec-operators.js';
import type { Filter, JudgedRequest } from './filter.js';

const SPECS_SCOPE = 'aggregate_instance_extra_specs';
const PROJECTS_KEY = 'filter_tenant_id';

/** The aggregates of the host say what the extra specs `aggregate_instance_extra_specs:…`, and those without prefix, ask. */
export const aggregateInstanceExtraSpecsFilter: Filter = {
  name: 'AggregateInstanceExtraSpecsFilter',
  passes: (host, { request }) => demandsOf(request).every((demand) => isMet(host, demand)),
  explain: (host, { request }) =>
    demandsOf(request)
      .filter((demand) => !isMet(host, demand))
      .map((demand) => unmet(host, demand)),
};

/** What an aggregate says under the name of an image property is as the image has it; an image without it fits everywhere. */
export const aggregateImagePropertiesIsolation: Filter = {
  name: 'AggregateImagePropertiesIsolation',
  passes: (host, { request }) => clashes(host, request).length === 0,
  explain: (host, { request }) =>
    clashes(host, request).map(({ key, wanted, found }) => {
      const message = `image property ${key} is "${wanted}", the aggregates of the host take`;
      return {
        code: 'aggregate.image_property',
        message: `${message} others`,
        details: { key, wanted },
        names: [{ host: host.name, message: `${message} ${listed(found)}`, details: { found } }],
      };
    }),
};

/** Hosts whose aggregates name projects (`filter_tenant_id`) are for those only. */
export const aggregateMultiTenancyIsolation: Filter = {
  name: 'AggregateMultiTenancyIsolation',
  passes: (host, { request }) => otherProjects(host, request) === 0,
  explain: (host, { request }) => {
    const projects = otherProjects(host, request);
    if (projects === 0) return [];
    const message = `the host is kept for ${projects} other project${projects === 1 ? '' : 's'}`;
    return [{ code: 'aggregate.other_projects', message, details: { projects } }];
  },
};

interface Demand {
  readonly key: string;
  readonly requirement: string;
}

function demandsOf({ host }: JudgedRequest): Demand[] {
  if (host?.extraSpecs === undefined) return [];
  return Object.entries(host.extraSpecs).flatMap(([key, requirement]) => {
    const colon = key.indexOf(':');
    if (colon < 0) return [{ key, requirement }];
    return key.slice(0, colon) === SPECS_SCOPE ? [{ key: key.slice(colon + 1), requirement }] : [];
  });
}

function isMet(host: HostSnapshot, { key, requirement }: Demand): boolean {
  return aggregateValues(host, key).some((value) => meetsExtraSpec(value, requirement));
}

/** What aggregates are and say is for administrators. */
function unmet(host: HostSnapshot, { key, requirement: wanted }: Demand): Reason {
  const found = aggregateValues(host, key);
  const message = `extra spec ${key}: "${wanted}" wanted, the aggregates of the host say`;
  return {
    code: 'aggregate.extra_spec',
    message: found.length === 0 ? `${message} nothing of it` : `${message} something else`,
    details: { key, wanted },
    ...(found.length > 0
      ? { names: [{ host: host.name, message: `${message} ${listed(found)}`, details: { found } }] }
      : {}),
  };
}

interface Clash {
  readonly key: string;
  readonly wanted: string;
  readonly found: readonly string[];
}

function clashes(aggregated: HostSnapshot, { host }: JudgedRequest): Clash[] {
  const properties = host?.imageProperties;
  if (properties === undefined || aggregated.aggregates.length === 0) return [];
  return aggregateKeys(aggregated).flatMap((key) => {
    const wanted = Object.hasOwn(properties, key) ? (properties[key] as string) : '';
    const found = aggregateValues(aggregated, key);
    return wanted === '' || found.includes(wanted) ? [] : [{ key, wanted, found }];
  });
}

/** How many projects the host is kept for, when this one is not among them. */
function otherProjects(host: HostSnapshot, { projectId }: JudgedRequest): number {
  if (host.aggregates.length === 0) return 0;
  const projects = aggregateValues(host, PROJECTS_KEY);
  return projects.includes(projectId) ? 0 : projects.length;
}

const LISTED_MAX = 5;

function listed(values: readonly string[]): string {
  const named = values.slice(0, LISTED_MAX).map((value) => `"${value}"`);
  const more = values.length - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}
