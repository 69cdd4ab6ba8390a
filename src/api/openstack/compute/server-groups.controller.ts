import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Ledger } from '../../../store/ledger.js';
import { readMemberIds, skipServerGroups } from '../../../store/server-groups.store.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller, isAdmin } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { idInPath } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import type { ServerGroupBody } from '../../server-groups/server-groups.dto.js';
import { ServerGroupsService } from '../../server-groups/server-groups.service.js';
import { Microversion } from '../microversion.js';
import { refuseBefore, refuseUnknown } from './microversion-fields.js';
import { pagingOf, parameter, type RawQuery } from './paging.js';
import { refuseFields, withoutNulls } from './query-rules.js';
import { ComputeServerGroupBody } from './server-groups.dto.js';
import { computeServerGroupView, RULES_SINCE } from './server-groups.views.js';
import { COMPUTE_PATH } from './url.js';

/** From this minor version on there are the soft policies. */
const SOFT_SINCE = 15;

const groupId = (text: string): string => idInPath(text, 'server_group.unknown', 'server group');

/** Servers that have to be together, or apart. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/os-server-groups`)
export class ComputeServerGroupsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly groups: ServerGroupsService,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({
    operationId: 'listComputeServerGroups',
    summary: "Server groups of the project; with all_projects, an administrator's answer has all",
  })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Query() query: RawQuery,
  ): Promise<object> {
    if (minor >= 75) refuseUnknown(query, ['all_projects', 'limit', 'offset']);
    const seesAll = query['all_projects'] !== undefined && isAdmin(caller);
    const page = { limit: pagingOf(query).limit, offset: offsetOf(query) };
    const rows = await skipServerGroups(this.ledger.pool, seesAll ? null : caller.projectId, page);
    const members = await readMemberIds(
      this.ledger.pool,
      rows.map(({ id }) => id),
    );
    return { server_groups: rows.map((row) => computeServerGroupView(row, members.get(row.id) ?? [], minor)) };
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeServerGroup', summary: 'One server group' })
  @ApiOkResponse()
  @ApiProblems(404)
  show(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<object> {
    return this.shown(caller, groupId(id), minor);
  }

  @Post()
  @Needs('member')
  @HttpCode(200)
  @ApiOperation({ operationId: 'createComputeServerGroup', summary: 'Make a server group' })
  @ApiOkResponse()
  @ApiProblems(400)
  async create(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Body() { server_group: group }: ComputeServerGroupBody,
  ): Promise<object> {
    const { id } = await this.groups.create(caller, groupOf(group, minor), null);
    return this.shown(caller, id, minor);
  }

  @Delete(':id')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteComputeServerGroup', summary: 'Delete a server group; its servers stay' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@CurrentCaller() caller: Caller, @Param('id') id: string, @Query() _query: RawQuery): Promise<void> {
    return this.groups.remove(caller, groupId(id));
  }

  private async shown(caller: Caller, id: string, minor: number): Promise<object> {
    const group = await this.groups.show(caller, id);
    const members = group.members.map((member) => member.id);
    return { server_group: computeServerGroupView(group, members, minor) };
  }
}

/** @throws BerthError `request.invalid` for what the version does not know */
function groupOf(body: ComputeServerGroupBody['server_group'], minor: number): ServerGroupBody {
  const group = withoutNulls(body);
  const at = 'server_group.';
  refuseBefore(minor, group, { policy: RULES_SINCE, rules: RULES_SINCE }, 'server_group');
  if (minor >= RULES_SINCE) refuseFields(group, ['policies'], at);
  const field = minor >= RULES_SINCE ? 'policy' : 'policies';
  const policy = minor >= RULES_SINCE ? group.policy : group.policies?.[0];
  if (policy === undefined) throw invalidFields([{ field: at + field, problem: 'is missing' }]);
  if (minor < SOFT_SINCE && policy.startsWith('soft-')) {
    throw invalidFields([{ field: at + field, problem: `${policy} is not known in this version` }]);
  }
  const most = group.rules?.max_server_per_host ?? undefined;
  if (most !== undefined && policy !== 'anti-affinity') {
    throw invalidFields([{ field: `${at}rules`, problem: 'only the policy anti-affinity has rules' }]);
  }
  return { name: group.name, policy, ...(most === undefined ? {} : { max_server_per_host: most }) };
}

function offsetOf(query: RawQuery): number {
  const text = parameter(query, 'offset') ?? '0';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw invalidFields([{ field: 'offset', problem: 'has to be a whole number, 0 or more' }]);
}
