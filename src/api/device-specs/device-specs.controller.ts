import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { PreviewBody, PreviewView } from './device-specs.dto.js';
import { DeviceSpecsService } from './device-specs.service.js';

@ApiTags('device-specs')
@Controller('v1/device-specs')
export class DeviceSpecsController {
  constructor(private readonly deviceSpecs: DeviceSpecsService) {}

  @Post('preview')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'previewDeviceSpecs',
    summary: 'What a whitelist would make of the hosts: matches, changes, and servers that hold what would disappear',
  })
  @ApiOkResponse({ type: PreviewView })
  @ApiProblems(400, 413)
  preview(@Body() body: PreviewBody): Promise<PreviewView> {
    return this.deviceSpecs.preview(body);
  }
}
