import { Controller, Get, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { COMPUTE } from '../faces.js';
import { PublicUrl } from '../public-url.js';
import { COMPUTE_PATH } from './url.js';

interface Request {
  readonly headers: { readonly host?: string };
}

/** Where clients learn which versions of Nova's API are served; anybody may ask. */
@ApiTags('compute')
@Controller('compute')
export class ComputeVersionsController {
  constructor(private readonly publicUrl: PublicUrl) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeVersions', summary: 'Versions of the compute face' })
  @ApiOkResponse()
  versions(@Req() request: Request): object {
    return { versions: [versionView(this.publicUrl.of(request))] };
  }

  @Get('v2.1')
  @ApiOperation({ operationId: 'getComputeVersion', summary: 'The version 2.1 of the compute face' })
  @ApiOkResponse()
  version(@Req() request: Request): object {
    const view = versionView(this.publicUrl.of(request));
    const type = 'application/vnd.openstack.compute+json;version=2.1';
    const describedBy = { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/api-ref/compute/' };
    return {
      version: { ...view, links: [...view.links, describedBy], 'media-types': [{ base: 'application/json', type }] },
    };
  }
}

function versionView(base: string) {
  const { major, first, last } = COMPUTE.versions;
  const href = `${base}/${COMPUTE_PATH}/`;
  return {
    ...{ id: 'v2.1', status: 'CURRENT', version: `${major}.${last}`, min_version: `${major}.${first}` },
    updated: '2013-07-23T11:33:21Z',
    links: [{ rel: 'self', href }],
  };
}
