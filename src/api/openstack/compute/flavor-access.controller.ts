import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { FlavorAccessService } from '../../flavors/flavor-access.service.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { ComputeFlavorActionBody } from './flavors.dto.js';
import { flavorAccessView } from './flavors.views.js';
import { COMPUTE_PATH } from './url.js';

/** Which projects may use a flavor that is not public, as Nova has it. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/flavors/:id`)
export class ComputeFlavorAccessController {
  constructor(private readonly access: FlavorAccessService) {}

  @Get('os-flavor-access')
  @ApiOperation({ operationId: 'listComputeFlavorAccess', summary: 'Projects with access to a flavor' })
  @ApiOkResponse()
  async list(@Param('id', NamePipe) id: string): Promise<object> {
    const { isPublic, projects } = await this.access.show(id);
    if (isPublic) throw new BerthError('request.not_found', 'The flavor is public; nobody needs access to it');
    return flavorAccessView(id, projects);
  }

  @Post('action')
  @HttpCode(200)
  @ApiOperation({ operationId: 'actOnComputeFlavor', summary: 'Give a project access to a flavor, or take it' })
  @ApiOkResponse()
  async act(
    @Param('id', NamePipe) id: string,
    @Body() { addTenantAccess: add, removeTenantAccess: remove }: ComputeFlavorActionBody,
    @Microversion() minor: number,
  ): Promise<object> {
    if (add && !remove) {
      return flavorAccessView(id, await this.access.add(id, add.tenant, { evenIfPublic: minor < 7 }));
    }
    if (remove && !add) return flavorAccessView(id, await this.access.remove(id, remove.tenant));
    throw invalidFields([{ field: '', problem: 'has to name one action: addTenantAccess or removeTenantAccess' }]);
  }
}
