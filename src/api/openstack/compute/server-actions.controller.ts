import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller, hasRole } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { idInPath } from '../../path-names.js';
import { invalidFields, RequestValidationPipe } from '../../request-validation.pipe.js';
import { ServerActionsService } from '../../servers/server-actions.service.js';
import { ServersService } from '../../servers/servers.service.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { type ActionEntry, ACTIONS } from './server-action-table.js';
import { ServerRebuildService } from './server-rebuild.service.js';
import { COMPUTE_PATH } from './url.js';

interface Request {
  readonly headers: { readonly host?: string };
}

type ActionBody = Readonly<Record<string, unknown>>;

/** Nova's actions on a server: one key names the action, its value says how. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/servers/:id/action`)
export class ComputeServerActionsController {
  private readonly pipe = new RequestValidationPipe();

  constructor(
    private readonly actions: ServerActionsService,
    private readonly servers: ServersService,
    private readonly rebuilds: ServerRebuildService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Post()
  @Needs('member')
  @HttpCode(202)
  @ApiOperation({ operationId: 'actOnComputeServer', summary: 'Stop, start, reboot, lock, shelve a server, …' })
  @ApiBody({ schema: { type: 'object', example: { 'os-stop': null }, minProperties: 1, maxProperties: 1 } })
  @ApiAcceptedResponse()
  @ApiProblems(400, 403, 404, 409, 501)
  async act(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('id') text: string,
    @Body() body: ActionBody,
    @Req() request: Request,
  ): Promise<unknown> {
    const [name, given] = onlyKey(body);
    const entry = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!entry) throw invalidFields([{ field: '', problem: `There is no such action: ${name.slice(0, 60)}` }]);
    assertRole(caller, name, entry);
    const value = await this.checked(name, given, entry);
    const id = idInPath(text, 'server.unknown', 'server');
    const { actions, servers, rebuilds } = this;
    const base = this.publicUrl.of(request);
    return entry.run({ caller, id, minor, base, actions, servers, rebuilds }, value);
  }

  private async checked(name: string, given: unknown, { of, isOptional }: ActionEntry): Promise<object> {
    if (of === null || (isOptional && given === null)) return {};
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw invalidFields([{ field: name, problem: 'has to be an object' }]);
    }
    return (await this.pipe.transform(given, { type: 'body', metatype: of })) as object;
  }
}

function onlyKey(body: ActionBody): [name: string, value: unknown] {
  const [entry, ...others] = Object.entries(body);
  if (entry && others.length === 0) return entry;
  throw invalidFields([{ field: '', problem: 'the body has to name one action, and no more' }]);
}

function assertRole(caller: Caller, name: string, { needs }: ActionEntry): void {
  if (hasRole(caller, needs)) return;
  throw new BerthError(
    'auth.forbidden',
    `${name} needs the role ${needs}; ${caller.userName} has ${caller.role} in project ${caller.projectName}`,
  );
}
