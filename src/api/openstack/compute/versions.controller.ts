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
    const base = this.publicUrl.of(request);
    return { versions: [firstVersionView(base), versionView(base)] };
  }

  @Get('v2')
  @ApiOperation({ operationId: 'getFirstComputeVersion', summary: 'The version 2.0, which is 2.1 without versions' })
  @ApiOkResponse()
  firstVersion(@Req() request: Request): object {
    return documentOf(firstVersionView(this.publicUrl.of(request)), '2');
  }

  @Get('v2.1')
  @ApiOperation({ operationId: 'getComputeVersion', summary: 'The version 2.1 of the compute face' })
  @ApiOkResponse()
  version(@Req() request: Request): object {
    return documentOf(versionView(this.publicUrl.of(request)), '2.1');
  }
}

function documentOf(view: ReturnType<typeof versionView>, version: string): object {
  const type = `application/vnd.openstack.compute+json;version=${version}`;
  const describedBy = { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/api-ref/compute/' };
  return {
    version: { ...view, links: [...view.links, describedBy], 'media-types': [{ base: 'application/json', type }] },
  };
}

/** Clients expect it first in the list. */
function firstVersionView(base: string): ReturnType<typeof versionView> {
  return {
    ...{ id: 'v2.0', status: 'SUPPORTED', version: '', min_version: '', updated: '2011-01-21T11:33:21Z' },
    links: [{ rel: 'self', href: `${base}/compute/v2/` }],
  };
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
