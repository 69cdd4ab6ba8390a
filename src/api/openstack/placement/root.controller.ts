import { Controller, Get, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { PLACEMENT } from '../faces.js';
import { CacheHeaders } from './cache-headers.js';

/** Where clients learn which versions of Placement's API are served; anybody may ask. */
@ApiTags('placement')
@UseInterceptors(CacheHeaders)
@Controller('placement')
export class PlacementRootController {
  @Get()
  @ApiOperation({ operationId: 'listPlacementVersions', summary: 'Versions of the placement face' })
  @ApiOkResponse()
  versions(): object {
    const { major, first, last } = PLACEMENT.versions;
    return {
      versions: [
        {
          ...{ id: 'v1.0', min_version: `${major}.${first}`, max_version: `${major}.${last}`, status: 'CURRENT' },
          links: [{ rel: 'self', href: '' }],
        },
      ],
    };
  }
}
