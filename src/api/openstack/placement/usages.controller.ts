import { Controller, Get, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { Ledger } from '../../../store/ledger.js';
import { type HeldRow, listHeldIn } from '../../../store/placement-face.store.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller, listedProject } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { Microversion, ServedIn } from '../microversion.js';
import { CacheHeaders } from './cache-headers.js';
import { consumerTypeOf, totalsView, userOf } from './held.js';
import { ProviderReader } from './providers.js';
import { assertKnown, clip, invalid, type RawQuery, single } from './query.js';

/** From this minor version on, usages are told by type of consumer. */
const TYPES = 38;
const CLAIMS_MAX = 100_000;
const ID = /^[^\p{Cc}\p{Cs}]{1,255}$/u;

/** What a project has; its own everybody may ask for. */
@ApiTags('placement')
@UseInterceptors(CacheHeaders)
@Controller('placement/usages')
export class UsagesController {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: ProviderReader,
  ) {}

  @Get()
  @Needs('reader')
  @ServedIn(9)
  @ApiOperation({
    operationId: 'listUsages',
    summary: 'What a project has in all; others than administrators ask for their own',
  })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Query() query: RawQuery,
  ): Promise<object> {
    const { projectId, userId, type } = question(query, minor);
    const rows = await listHeldIn(this.ledger.pool, listedProject(caller, projectId) ?? projectId, CLAIMS_MAX + 1);
    if (rows.length > CLAIMS_MAX) {
      throw new BerthError(
        'request.too_large',
        `The project has more than ${CLAIMS_MAX} claims; they cannot be added up at once`,
      );
    }
    const isAsked = (row: HeldRow): boolean =>
      (userId === null || userOf(row) === userId) && (type === null || type === 'all' || consumerTypeOf(row) === type);
    const types = minor < TYPES ? 'none' : type === 'all' ? 'all' : 'each';
    return totalsView(rows.filter(isAsked), await this.reader.read(), types);
  }
}

function question(query: RawQuery, minor: number): { projectId: string; userId: string | null; type: string | null } {
  const known = ['project_id', 'user_id', ...(minor >= TYPES ? ['consumer_type'] : [])];
  assertKnown(query, (name) => known.includes(name));
  const projectId = single(query, 'project_id');
  const userId = single(query, 'user_id');
  const type = single(query, 'consumer_type');
  if (projectId === undefined) throw invalid(`'project_id' is a required property`);
  for (const text of [projectId, userId ?? projectId]) if (!ID.test(text)) throw invalid(`'${clip(text)}' is no id`);
  if (type !== undefined && !/^(?:[A-Z0-9_]{1,255}|all|unknown)$/.test(type)) {
    throw invalid(`'${clip(type)}' is no consumer_type`);
  }
  return { projectId, userId: userId ?? null, type: type ?? null };
}
