import { Body, Controller, Delete, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { KeypairsService } from '../../keypairs/keypairs.service.js';
import { NamePipe } from '../../path-names.js';
import type { Reply } from '../../reply.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { ComputeKeypairBody } from './keypairs.dto.js';
import { keypairItem, keypairView, newKeypairView } from './keypairs.views.js';
import { refuseBefore, refuseUnknown } from './microversion-fields.js';
import { nextLinks, PAGE_MAX, pagingOf, parameter, type RawQuery } from './paging.js';
import { COMPUTE_PATH } from './url.js';

interface Request {
  readonly headers: { readonly host?: string };
}

/** Keypairs of users, as Nova has them. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/os-keypairs`)
export class ComputeKeypairsController {
  constructor(
    private readonly keypairs: KeypairsService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeKeypairs', summary: 'Keypairs of whoever asks' })
  @ApiOkResponse()
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: RawQuery,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    if (minor >= 75) refuseUnknown(query, ['user_id', 'limit', 'marker']);
    const user = userIn(query, minor);
    const { limit, marker } = minor >= 35 ? pagingOf(query) : { limit: PAGE_MAX, marker: null };
    if (marker !== null) await this.assertMarker(caller, user, marker);
    const rows = await this.keypairs.list(caller, user, { after: marker, limit });
    const last = rows.at(-1);
    const more = minor >= 35 && last !== undefined && rows.length === limit;
    return {
      keypairs: rows.map((row) => keypairItem(row, minor)),
      ...(more ? { keypairs_links: nextLinks(this.publicUrl.of(request), 'os-keypairs', query, last.name) } : {}),
    };
  }

  @Get(':name')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeKeypair', summary: 'One keypair' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Param('name', NamePipe) name: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
  ): Promise<object> {
    if (minor >= 75) refuseUnknown(query, ['user_id']);
    return keypairView(await this.keypairs.show(caller, userIn(query, minor), name), minor);
  }

  @Post()
  @Needs('member')
  @ApiOperation({
    operationId: 'createComputeKeypair',
    summary: 'Keep a public key, or make a pair (up to 2.91)',
    description: 'The private half of a pair is in this answer and nowhere else.',
  })
  @ApiCreatedResponse()
  async create(
    @CurrentCaller() caller: Caller,
    @Body() { keypair }: ComputeKeypairBody,
    @Microversion() minor: number,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<object> {
    refuseBefore(minor, keypair, { type: 2, user_id: 10 }, 'keypair');
    assertName(keypair.name, minor);
    const publicKey = keypair.public_key ?? null;
    if (publicKey === null && minor >= 92) {
      throw invalidFields([{ field: 'keypair.public_key', problem: 'is missing; pairs are made up to 2.91 only' }]);
    }
    const { name, type = 'ssh', user_id: userId = null } = keypair;
    const made = await this.keypairs.create(caller, { userId, name, type, publicKey });
    reply.status(minor >= 2 ? 201 : 200);
    return newKeypairView(made.keypair, made.privateKey, minor);
  }

  @Delete(':name')
  @Needs('member')
  @ApiOperation({ operationId: 'deleteComputeKeypair', summary: 'Delete a keypair' })
  @ApiNoContentResponse()
  async remove(
    @CurrentCaller() caller: Caller,
    @Param('name', NamePipe) name: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    if (minor >= 75) refuseUnknown(query, ['user_id']);
    await this.keypairs.remove(caller, userIn(query, minor), name);
    reply.status(minor >= 2 ? 204 : 202);
  }

  private async assertMarker(caller: Caller, user: string | null, marker: string): Promise<void> {
    await this.keypairs.show(caller, user, marker).catch(() => {
      throw invalidFields([{ field: 'marker', problem: 'is not the name of a keypair' }]);
    });
  }
}

/** The user that a query names; null: whoever asks. Before 2.10 it is any unknown parameter. */
function userIn(query: RawQuery, minor: number): string | null {
  return minor >= 10 ? (parameter(query, 'user_id') ?? null) : null;
}

function assertName(name: string, minor: number): void {
  const [form, more] = minor >= 92 ? [/^[A-Za-z0-9@._ -]+$/, '@ . '] : [/^[A-Za-z0-9_ -]+$/, ''];
  if (form.test(name)) return;
  const problem = `has other characters than letters, digits, ${more}_ - and blanks`;
  throw invalidFields([{ field: 'keypair.name', problem }]);
}
