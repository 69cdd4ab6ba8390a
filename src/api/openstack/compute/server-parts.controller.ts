import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import { CurrentCaller, type Caller, isAdmin } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { ServedIn } from '../microversion.js';
import { ComputeServersService } from './compute-servers.service.js';
import { topologyView } from './server-topology.view.js';
import { COMPUTE_PATH } from './url.js';

/** Parts of servers that clients ask for. Servers have neither addresses nor volumes here: these lists are empty. */
@ApiTags('compute')
@Needs('reader')
@Controller(`${COMPUTE_PATH}/servers/:id`)
export class ServerPartsController {
  constructor(private readonly servers: ComputeServersService) {}

  @Get('ips')
  @ApiOperation({ operationId: 'listComputeServerAddresses', summary: 'Addresses of a server: none' })
  @ApiOkResponse()
  @ApiProblems(404)
  async addresses(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    return { addresses: {} };
  }

  @Get('ips/:label')
  @ApiOperation({
    operationId: 'getComputeServerAddresses',
    summary: 'Addresses of a server in a network: it is in none',
  })
  @ApiOkResponse()
  @ApiProblems(404)
  async addressesOf(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    throw new BerthError('request.not_found', 'The server is not in a network of this name');
  }

  @Get('os-security-groups')
  @ApiOperation({ operationId: 'listComputeServerSecurityGroups', summary: 'Security groups of a server: none' })
  @ApiOkResponse()
  @ApiProblems(404)
  async securityGroups(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    return { security_groups: [] };
  }

  @Get('os-interface')
  @ApiOperation({ operationId: 'listComputeServerInterfaces', summary: 'Network interfaces of a server: none' })
  @ApiOkResponse()
  @ApiProblems(404)
  async interfaces(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    return { interfaceAttachments: [] };
  }

  @Get('os-volume_attachments')
  @ApiOperation({ operationId: 'listComputeServerVolumes', summary: 'Volumes of a server: none' })
  @ApiOkResponse()
  @ApiProblems(404)
  async volumes(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    return { volumeAttachments: [] };
  }

  @Get('os-server-password')
  @ApiOperation({ operationId: 'getComputeServerPassword', summary: 'The password that a guest has told: none' })
  @ApiOkResponse()
  @ApiProblems(404)
  async password(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    await this.servers.find(caller, id);
    return { password: '' };
  }

  @Delete('os-server-password')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'clearComputeServerPassword', summary: 'Forget the password that a guest has told' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async clearPassword(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.servers.find(caller, id);
  }

  @Get('topology')
  @ServedIn(78)
  @ApiOperation({ operationId: 'getComputeServerTopology', summary: 'NUMA nodes of a server' })
  @ApiOkResponse()
  @ApiProblems(404)
  async topology(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    const server = await this.servers.find(caller, id);
    return topologyView(server.request.guestCells, await this.servers.hostCells(server.id), isAdmin(caller));
  }
}
