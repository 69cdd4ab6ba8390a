import { Controller, Get, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { inTurns } from '../../in-turns.js';
import { Microversion, ServedIn } from '../microversion.js';
import { CacheHeaders } from './cache-headers.js';
import { type CandidateQuery, candidateQuery } from './candidate-query.js';
import { type Candidate, findCandidates } from './candidates.js';
import { KnownNames } from './known-names.js';
import type { Wanted } from './judge.js';
import { capacityOf, type Provider } from './provider-tree.js';
import { ProviderReader } from './providers.js';
import type { RawQuery } from './query.js';

/** Minor versions from which an answer has more in it. */
const SINCE = { byProvider: 12, traits: 17, allClasses: 27, nesting: 29, mappings: 34 } as const;

/** Where something could be: the engine is asked, and nothing is kept. */
@ApiTags('placement')
@UseInterceptors(CacheHeaders)
@Controller('placement/allocation_candidates')
export class CandidatesController {
  constructor(
    private readonly reader: ProviderReader,
    private readonly names: KnownNames,
  ) {}

  @Get()
  @ServedIn(10)
  @ApiOperation({ operationId: 'listAllocationCandidates', summary: 'Ways to serve a request' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(
    @CurrentCaller() { projectId }: Caller,
    @Microversion() minor: number,
    @Query() raw: RawQuery,
  ): Promise<object> {
    const query = candidateQuery(raw, minor);
    const providers = await this.reader.read();
    const { groups, rootTraits } = query;
    await this.names.assertClasses(
      groups.flatMap(({ resources }) => [...resources.keys()]),
      providers,
    );
    await this.names.assertTraits([rootTraits, ...groups.map(({ traits }) => traits)], providers);
    const wisher = { name: 'candidate', projectId };
    const found = await inTurns(findCandidates(providers, query, minor >= SINCE.nesting, wisher));
    return {
      allocation_requests: found.map((candidate) => requestView(candidate, minor)),
      provider_summaries: summariesView(found, query, minor),
    };
  }
}

function requestView({ wanted, mappings }: Candidate, minor: number): object {
  if (minor < SINCE.byProvider) return { allocations: asList(wanted) };
  const allocations = [...wanted].map(([uuid, amounts]) => [uuid, { resources: Object.fromEntries(amounts) }] as const);
  return {
    allocations: Object.fromEntries(allocations),
    ...(minor >= SINCE.mappings && { mappings: Object.fromEntries(mappings) }),
  };
}

function asList(wanted: Wanted): object[] {
  return [...wanted].map(([uuid, amounts]) => ({
    resource_provider: { uuid },
    resources: Object.fromEntries(amounts),
  }));
}

/** Of the providers of all candidates; from 1.29 on with all others of their trees. */
function summariesView(found: readonly Candidate[], { groups }: CandidateQuery, minor: number): object {
  const asked = new Set(groups.flatMap(({ resources }) => [...resources.keys()]));
  const shown = found.flatMap(({ tree, wanted }) =>
    minor >= SINCE.nesting ? tree : tree.filter(({ uuid }) => wanted.has(uuid)),
  );
  return Object.fromEntries(
    [...new Set(shown)].map((provider) => [provider.uuid, summaryView(provider, asked, minor)]),
  );
}

function summaryView(
  { inventories, usages, traits, parent, root }: Provider,
  asked: ReadonlySet<string>,
  minor: number,
) {
  const classes = [...inventories].filter(([name]) => minor >= SINCE.allClasses || asked.has(name));
  const resources = classes.map(
    ([name, inventory]) => [name, { capacity: capacityOf(inventory), used: usages.get(name) ?? 0 }] as const,
  );
  return {
    resources: Object.fromEntries(resources),
    ...(minor >= SINCE.traits && { traits }),
    ...(minor >= SINCE.nesting && { parent_provider_uuid: parent, root_provider_uuid: root }),
  };
}
