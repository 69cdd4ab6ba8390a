import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { ImageEntity } from '../../../store/entities/image.entities.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { ImagesService } from '../image/images.service.js';
import { imageTime } from '../image/images.views.js';
import { ServedIn } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { type Link, linksOf } from './links.js';
import { nextLinks, pagingOf, parameter, type RawQuery } from './paging.js';

interface Request {
  readonly headers: { readonly host?: string };
}

/** Images as Nova showed them until it left that to Glance, with 2.36. */
@ApiTags('compute')
@Needs('reader')
@ServedIn(1, 35)
@Controller('compute/v2.1/images')
export class ComputeImagesController {
  constructor(
    private readonly images: ImagesService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeImages', summary: 'Images, their names only; until 2.35' })
  @ApiOkResponse()
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: RawQuery, @Req() request: Request): Promise<object> {
    const base = this.publicUrl.of(request);
    return this.page(caller, query, { base, path: 'images' }, ({ id, name }) => ({ id, name, links: links(base, id) }));
  }

  @Get('detail')
  @ApiOperation({ operationId: 'listComputeImageDetails', summary: 'Images; until 2.35' })
  @ApiOkResponse()
  @ApiProblems(400)
  details(@CurrentCaller() caller: Caller, @Query() query: RawQuery, @Req() request: Request): Promise<object> {
    const base = this.publicUrl.of(request);
    return this.page(caller, query, { base, path: 'images/detail' }, (image) => imageView(base, image));
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getComputeImage', summary: 'One image; until 2.35' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Req() request: Request,
  ): Promise<object> {
    return { image: imageView(this.publicUrl.of(request), await this.images.show(caller, id)) };
  }

  private async page(
    caller: Caller,
    query: RawQuery,
    { base, path }: { readonly base: string; readonly path: string },
    viewOf: (image: ImageEntity) => object,
  ): Promise<object> {
    const { images, next } = await this.images.list(caller, inWordsOfGlance(query));
    const link = next === null ? {} : { images_links: nextLinks(base, path, query, next) };
    return { images: images.map(viewOf), ...link };
  }
}

/** What else Nova's clients filter by says nothing of images without data, and is passed over. */
function inWordsOfGlance(query: RawQuery): Readonly<Record<string, string>> {
  const { limit, marker } = pagingOf(query);
  const [name, status] = [parameter(query, 'name'), parameter(query, 'status')];
  return {
    limit: String(limit),
    ...(marker === null ? {} : { marker }),
    ...(name === undefined ? {} : { name }),
    ...(status === undefined ? {} : { status: status.toLowerCase() }),
  };
}

function imageView(base: string, image: ImageEntity): object {
  return {
    ...{ id: image.id, name: image.name, status: 'ACTIVE', progress: 100, 'OS-EXT-IMG-SIZE:size': 0 },
    ...{ minRam: image.min_ram_mb, minDisk: image.min_disk_gb, metadata: image.properties },
    ...{ created: imageTime(image.created_at), updated: imageTime(image.updated_at) },
    links: links(base, image.id),
  };
}

function links(base: string, id: string): Link[] {
  const type = 'application/vnd.openstack.image';
  return [...linksOf(base, `images/${id}`), { rel: 'alternate', type, href: `${base}/image/images/${id}` } as Link];
}
