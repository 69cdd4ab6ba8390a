import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { ApiProblems } from '../answers.js';
import { TextParameter } from '../fields.js';
import type { Attempts } from '../identity/attempts.js';
import { Authentication } from '../identity/authentication.js';
import { BasicAuthentication, type IssuedToken } from '../identity/basic-authentication.js';
import { type Caller, CurrentCaller, isAdmin } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { NamePipe } from '../path-names.js';
import type { Reply } from '../reply.js';
import { projectView, tokenView } from './catalog.js';
import { AuthBody } from './identity.dto.js';
import { PublicUrl } from './public-url.js';

const VERSION = 'v3.14';
const SUBJECT = 'x-subject-token';

interface Request {
  readonly headers: { readonly host?: string };
  readonly attempts?: Attempts;
}

class ProjectsQuery {
  @TextParameter() name?: string;
}

/**
 * As much of Keystone (identity v3) as clients with password authentication need: a token for a user of the htpasswd file, and a
 * catalog.
 */
@ApiTags('identity')
@Needs('reader')
@Controller('identity')
export class IdentityController {
  constructor(
    private readonly authentication: Authentication,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listIdentityVersions', summary: 'Versions of the identity face' })
  @ApiOkResponse()
  versions(@Req() request: Request): object {
    return { versions: { values: [this.shownVersion(request)] } };
  }

  @Get('v3')
  @ApiOperation({ operationId: 'getIdentityVersion', summary: 'The version 3 of the identity face' })
  @ApiOkResponse()
  version(@Req() request: Request): object {
    return { version: this.shownVersion(request) };
  }

  @Post('v3/auth/tokens')
  @ApiOperation({ operationId: 'issueToken', summary: 'A token for a user and a password' })
  @ApiCreatedResponse({ description: 'The token is in the header X-Subject-Token.' })
  @ApiProblems(400, 429)
  async issue(
    @Body() { auth }: AuthBody,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<object> {
    const { user } = auth.identity.password;
    const issued = await this.basic().logIn(user.name ?? user.id ?? '', user.password ?? '', request.attempts);
    assertScope(issued.caller, auth.scope?.project);
    reply.header(SUBJECT, issued.text);
    return { token: tokenView(issued, this.publicUrl.of(request)) };
  }

  @Get('v3/auth/tokens')
  @ApiOperation({ operationId: 'validateToken', summary: 'What a token is; of others only for administrators' })
  @ApiOkResponse()
  @ApiProblems(404)
  async validate(
    @CurrentCaller() caller: Caller,
    @Headers(SUBJECT) text: string | undefined,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<object> {
    const found = await this.tokenOf(caller, text);
    reply.header(SUBJECT, text ?? '');
    return { token: tokenView(found, this.publicUrl.of(request)) };
  }

  @Delete('v3/auth/tokens')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeToken', summary: 'Make a token worthless; of others only for administrators' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async revoke(@CurrentCaller() caller: Caller, @Headers(SUBJECT) text: string | undefined): Promise<void> {
    await this.tokenOf(caller, text);
    await this.basic().logOut(text ?? '');
  }

  @Get('v3/projects')
  @ApiOperation({ operationId: 'listProjects', summary: 'Projects: for administrators all that the settings name' })
  @ApiOkResponse()
  projects(@CurrentCaller() caller: Caller, @Query() { name }: ProjectsQuery): object {
    const known = this.projectsFor(caller).filter((one) => name === undefined || one === name);
    return { projects: known.map(projectView), links: { next: null } };
  }

  @Get('v3/projects/:id')
  @ApiOperation({ operationId: 'getProject', summary: 'One project' })
  @ApiOkResponse()
  @ApiProblems(404)
  project(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): object {
    if (this.projectsFor(caller).includes(id)) return { project: projectView(id) };
    throw new BerthError('request.not_found', `Could not find project: ${id}.`);
  }

  private projectsFor(caller: Caller): string[] {
    if (!isAdmin(caller)) return [caller.projectId];
    const named = this.authentication instanceof BasicAuthentication ? this.authentication.projects() : [];
    return [...new Set([caller.projectId, ...named])];
  }

  /** @throws BerthError `request.not_found` also for a token that is somebody else's */
  private async tokenOf(caller: Caller, text: string | undefined): Promise<IssuedToken> {
    const found = text === undefined ? null : await this.basic().look(text);
    if (found && (isAdmin(caller) || found.caller.userId === caller.userId)) return found;
    throw new BerthError('request.not_found', 'There is no such token.');
  }

  private basic(): BasicAuthentication {
    if (this.authentication instanceof BasicAuthentication) return this.authentication;
    throw new BerthError(
      'request.not_found',
      'Berth gives tokens only with auth.strategy http_basic; with keystone, Keystone does; with none, nobody needs one.',
    );
  }

  private shownVersion(request: Request): object {
    const href = `${this.publicUrl.of(request)}/identity/v3/`;
    const type = 'application/vnd.openstack.identity-v3+json';
    return {
      ...{ id: VERSION, status: 'stable', updated: '2020-04-07T00:00:00Z' },
      links: [{ rel: 'self', href }],
      'media-types': [{ base: 'application/json', type }],
    };
  }
}

/** A user has one project. */
function assertScope(
  { projectId }: Caller,
  wanted: { readonly id?: string; readonly name?: string } | undefined,
): void {
  const asked = wanted?.id ?? wanted?.name;
  if (asked === undefined || asked === projectId) return;
  throw new BerthError('auth.required', `The user has no role in project ${asked.slice(0, 100)}.`);
}
