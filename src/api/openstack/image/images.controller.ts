import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Req,
  Res,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { nextPage } from '../../page.js';
import { NamePipe } from '../../path-names.js';
import type { Reply } from '../../reply.js';
import { PublicUrl } from '../public-url.js';
import type { FlatImage } from './image-fields.js';
import type { ImageQuery } from './image-query.js';
import { IMAGE_PATCH_TYPE, ImagePatch, ImagePatchStep, MemberBody } from './images.dto.js';
import { ImagesService } from './images.service.js';
import { imageView, memberView } from './images.views.js';

const VERSION = 'v2.15';
const LIST = '/v2/images';

interface Request {
  readonly headers: { readonly host?: string };
}

/** As much of Glance (image v2) as it takes to name an image for a server, and to say what properties it has. */
@ApiTags('image')
@Needs('reader')
@Controller('image')
export class ImagesController {
  constructor(
    private readonly images: ImagesService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listImageVersions', summary: 'Versions of the image face' })
  @ApiOkResponse()
  versions(@Req() request: Request): object {
    const href = `${this.publicUrl.of(request)}/image/v2/`;
    return { versions: [{ id: VERSION, status: 'CURRENT', links: [{ rel: 'self', href }] }] };
  }

  @Get('v2/images')
  @ApiOperation({ operationId: 'listImages', summary: 'Images that the project sees, the newest first' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(@CurrentCaller() caller: Caller, @Query() query: ImageQuery): Promise<object> {
    const { images, next, limit } = await this.images.list(caller, query);
    const link = next === null ? {} : { next: nextPage({ path: LIST, query: query as never, limit }, next) };
    return { images: images.map(imageView), first: LIST, schema: '/v2/schemas/images', ...link };
  }

  @Get('v2/images/:id')
  @ApiOperation({ operationId: 'getImage', summary: 'One image' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): Promise<object> {
    return imageView(await this.images.show(caller, id));
  }

  @Post('v2/images')
  @Needs('admin')
  @ApiOperation({ operationId: 'createImage', summary: 'Register the name and the properties of an image' })
  @ApiBody({ schema: { type: 'object', additionalProperties: true } })
  @ApiCreatedResponse()
  @ApiProblems(400, 409)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() said: FlatImage,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<object> {
    const image = await this.images.create(caller, said);
    reply.header('location', `${this.publicUrl.of(request)}/image/v2/images/${image.id}`);
    return imageView(image);
  }

  @Patch('v2/images/:id')
  @Needs('admin')
  @ApiOperation({ operationId: 'changeImage', summary: 'Change the name, or properties, of an image' })
  @ApiConsumes(IMAGE_PATCH_TYPE)
  @ApiBody({ type: [ImagePatchStep] })
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Headers('content-type') type: string | undefined,
    @Body() { steps }: ImagePatch,
  ): Promise<object> {
    if (type?.startsWith(IMAGE_PATCH_TYPE) !== true) {
      throw new UnsupportedMediaTypeException(`A change of an image is a list of steps, ${IMAGE_PATCH_TYPE}`);
    }
    return imageView(await this.images.change(caller, id, steps));
  }

  @Delete('v2/images/:id')
  @Needs('admin')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteImage', summary: 'Forget an image; servers keep what they had of it' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): Promise<void> {
    return this.images.remove(caller, id);
  }

  @Put('v2/images/:id/file')
  @Needs('admin')
  @HttpCode(204)
  @ApiOperation({ operationId: 'uploadImage', summary: 'Refused, but for no data: Berth keeps none of images' })
  @ApiConsumes('application/octet-stream')
  @ApiNoContentResponse()
  @ApiProblems(400, 404, 409)
  async upload(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Body() data: { readonly is_empty?: boolean },
  ): Promise<void> {
    const image = await this.images.show(caller, id);
    if (data.is_empty === true) return; // clients whose input is no terminal send that much
    throw new BerthError(
      'image.no_data',
      `Berth keeps names and properties of images, and no data: image ${image.id} is active without any.`,
    );
  }

  @Get('v2/images/:id/members')
  @Needs('admin')
  @ApiOperation({ operationId: 'listImageMembers', summary: 'Projects that see a shared image' })
  @ApiOkResponse()
  @ApiProblems(404)
  async members(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): Promise<object> {
    const image = await this.images.show(caller, id);
    return { members: image.members.map((project) => memberView(image, project)), schema: '/v2/schemas/members' };
  }

  @Post('v2/images/:id/members')
  @Needs('admin')
  @HttpCode(200)
  @ApiOperation({ operationId: 'addImageMember', summary: 'Let a project see a shared image' })
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async addMember(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Body() { member }: MemberBody,
  ): Promise<object> {
    return memberView(await this.images.addMember(caller, id, member), member);
  }

  @Delete('v2/images/:id/members/:member')
  @Needs('admin')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeImageMember', summary: 'Let a project no longer see a shared image' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  removeMember(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Param('member', NamePipe) member: string,
  ): Promise<void> {
    return this.images.removeMember(caller, id, member);
  }
}
