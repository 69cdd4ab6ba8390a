import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller, isAdmin } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { idInPath } from '../path-names.js';
import { invalidFields } from '../request-validation.pipe.js';
import { SERVER_ACTIONS, type ServerAction, ServerActionBody } from './server-actions.dto.js';
import { ServerActionsService } from './server-actions.service.js';
import { ServerView } from './server.views.js';
import { ServersService } from './servers.service.js';

@ApiTags('servers')
@Controller('v1/servers/:id/actions')
export class ServerActionsController {
  constructor(
    private readonly actions: ServerActionsService,
    private readonly servers: ServersService,
  ) {}

  @Post(':action')
  @Needs('member')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'actOnServer',
    summary: 'Stop, start, lock or shelve a server, …',
    description:
      'Where the agent runs guests it is told, and `action` of the server says what is under way until it answers; where somebody ' +
      'else runs them, `vm_state` says how the guest is to be. A stopped server keeps its devices; a shelved one gives them back.',
  })
  @ApiParam({ name: 'action', enum: SERVER_ACTIONS })
  @ApiAcceptedResponse({ type: ServerView })
  @ApiProblems(400, 403, 404, 409)
  async act(
    @CurrentCaller() caller: Caller,
    @Param('id') text: string,
    @Param('action') action: string,
    @Body() body: ServerActionBody,
  ): Promise<ServerView> {
    const id = idInPath(text, 'server.unknown', 'server');
    await this.carryOut(caller, id, knownAction(action), body);
    return this.servers.show(caller, id);
  }

  private carryOut(caller: Caller, id: string, action: ServerAction, body: ServerActionBody): Promise<void> {
    const { reason, availability_zone: zone } = body;
    assertOnly(action, body);
    switch (action) {
      case 'lock':
        return this.actions.lock(caller, id, reason ?? null);
      case 'unlock':
        return this.actions.unlock(caller, id);
      case 'shelve':
        return this.actions.shelve(caller, id);
      case 'unshelve':
        return this.actions.unshelve(caller, id, zone === undefined ? {} : { zone });
      case 'evacuate':
        if (!isAdmin(caller)) throw new BerthError('auth.forbidden', 'evacuate: only an administrator may do this');
        return this.actions.evacuate(caller, id);
      case 'migrate':
        if (!isAdmin(caller)) throw new BerthError('auth.forbidden', 'migrate: only an administrator may do this');
        return this.actions.migrate(caller, id, body.host ?? null);
      case 'resize':
        if (body.flavor === undefined) throw invalidFields([{ field: 'flavor', problem: 'is missing' }]);
        return this.actions.resize(caller, id, body.flavor);
      default:
        return this.actions.act(caller, id, action);
    }
  }
}

function knownAction(text: string): ServerAction {
  const action = SERVER_ACTIONS.find((one) => one === text);
  if (action) return action;
  throw new BerthError('request.not_found', `There is no such action; there are ${SERVER_ACTIONS.join(', ')}`);
}

/** Which action takes which field. */
const TAKEN_BY = { reason: 'lock', availability_zone: 'unshelve', flavor: 'resize', host: 'migrate' } as const;

/** What another action would take is not passed over. */
function assertOnly(action: ServerAction, body: ServerActionBody): void {
  for (const [field, taker] of Object.entries(TAKEN_BY)) {
    if (body[field as keyof ServerActionBody] === undefined || action === taker) continue;
    throw invalidFields([{ field, problem: `is for ${taker} only` }]);
  }
}
