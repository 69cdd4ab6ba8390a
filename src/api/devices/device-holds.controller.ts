import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { holdDevice, type HoldEvent } from '../../store/device-holds.store.js';
import { findDevice } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { idInPath } from '../path-names.js';
import { DeviceView, deviceView, HoldDevice } from './devices.dto.js';

/** An admin takes devices out of use, and gives them back. One in use stays with its server: that is a 409. */
@ApiTags('devices')
@Controller('v1/devices/:id')
export class DeviceHoldsController {
  constructor(private readonly ledger: Ledger) {}

  @Post('reserve')
  @HttpCode(200)
  @ApiOperation({ operationId: 'reserveDevice', summary: 'Hold an available device back; it is given to no server' })
  @ApiOkResponse({ type: DeviceView })
  @ApiProblems(400, 404, 409)
  reserve(@Param('id') id: string, @Body() { reason }: HoldDevice): Promise<DeviceView> {
    return this.hold(id, 'reserve', reason);
  }

  @Post('unreserve')
  @HttpCode(200)
  @ApiOperation({ operationId: 'unreserveDevice', summary: 'Give a reserved device back' })
  @ApiOkResponse({ type: DeviceView })
  @ApiProblems(404, 409)
  unreserve(@Param('id') id: string): Promise<DeviceView> {
    return this.hold(id, 'unreserve', null);
  }

  @Post('quarantine')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'quarantineDevice',
    summary: 'Take a suspect device out of use until it is repaired',
    description: 'Any device that no server uses. It stays in quarantine when it is pulled and put back.',
  })
  @ApiOkResponse({ type: DeviceView })
  @ApiProblems(400, 404, 409)
  quarantine(@Param('id') id: string, @Body() { reason }: HoldDevice): Promise<DeviceView> {
    return this.hold(id, 'quarantine', reason);
  }

  @Post('repair')
  @HttpCode(200)
  @ApiOperation({ operationId: 'repairDevice', summary: 'Give a failed device, or one in quarantine, back' })
  @ApiOkResponse({ type: DeviceView })
  @ApiProblems(404, 409)
  repair(@Param('id') id: string): Promise<DeviceView> {
    return this.hold(id, 'repair', null);
  }

  private hold(text: string, event: HoldEvent, reason: string | null): Promise<DeviceView> {
    const id = idInPath(text, 'device.unknown', 'device');
    return this.ledger.transaction(async (tx) => {
      await holdDevice(tx, id, event, reason);
      const row = await findDevice(tx, id);
      if (!row) throw new BerthError('internal.error', `device ${id} is gone`);
      return deviceView(row);
    });
  }
}
