import { Body, Controller, Delete, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { CurrentCaller, type Caller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { idInPath } from '../path-names.js';
import { AttachBody, DetachQuery, DetachView } from './server-devices.dto.js';
import { ServerDevicesService } from './server-devices.service.js';
import { ServerView } from './server.views.js';
import { ServersService } from './servers.service.js';

@ApiTags('servers')
@Needs('member')
@Controller('v1/servers/:id/devices')
export class ServerDevicesController {
  constructor(
    private readonly devices: ServerDevicesService,
    private readonly servers: ServersService,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'attachDevices',
    summary: 'Attach devices to a running server',
    description:
      'They are looked for on the host of the server only. The server stays ACTIVE, with the task state `attaching`; when it ' +
      'gets nothing, it runs on as it was and its events tell why.',
  })
  @ApiAcceptedResponse({ type: ServerView })
  @ApiProblems(400, 403, 404, 409)
  async attach(
    @CurrentCaller() caller: Caller,
    @Param('id') text: string,
    @Body() body: AttachBody,
  ): Promise<ServerView> {
    const id = idInPath(text, 'server.unknown', 'server');
    await this.devices.attach(caller, id, body);
    return this.servers.show(caller, id);
  }

  @Delete(':device_id')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'detachDevice',
    summary: 'Detach a device from a running server, with all that shares its IOMMU group',
  })
  @ApiAcceptedResponse({ type: DetachView })
  @ApiProblems(400, 404, 409)
  detach(
    @CurrentCaller() caller: Caller,
    @Param('id') text: string,
    @Param('device_id') device: string,
    @Query() { force = false }: DetachQuery,
  ): Promise<DetachView> {
    const id = idInPath(text, 'server.unknown', 'server');
    return this.devices.detach(caller, id, { deviceId: idInPath(device, 'server.device_unknown', 'device'), force });
  }
}
