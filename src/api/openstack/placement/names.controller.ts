import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  Req,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import type { Reply } from '../../reply.js';
import { ServedIn } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { CacheHeaders } from './cache-headers.js';
import { CLASSES, isCustomName, KnownNames, TRAITS } from './known-names.js';
import { classView, PLACEMENT_PATH } from './provider.views.js';
import { ProviderReader } from './providers.js';
import { assertKnown, clip, invalid, type RawQuery, single } from './query.js';

interface Request {
  readonly headers: { readonly host?: string };
}

const CHARACTERS =
  'no longer than 255 characters, start with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"';

/** Traits and resource classes. */
@ApiTags('placement')
@UseInterceptors(CacheHeaders)
@Controller('placement')
export class NamesController {
  constructor(
    private readonly reader: ProviderReader,
    private readonly names: KnownNames,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get('traits')
  @ServedIn(6)
  @ApiOperation({ operationId: 'listTraits', summary: 'Traits' })
  @ApiOkResponse()
  @ApiProblems(400)
  async traits(@Query() query: RawQuery): Promise<object> {
    assertKnown(query, (name) => name === 'name' || name === 'associated');
    const isNamed = nameFilter(single(query, 'name'));
    const associated = flag(single(query, 'associated'));
    const providers = await this.reader.read();
    const used = associated === null ? null : TRAITS.inUse(providers);
    const all = await this.names.list(TRAITS, providers);
    return { traits: all.filter((trait) => isNamed(trait) && (!used || used.has(trait) === associated)) };
  }

  @Get('traits/:name')
  @ServedIn(6)
  @HttpCode(204)
  @ApiOperation({ operationId: 'getTrait', summary: 'Whether there is a trait' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async trait(@Param('name') name: string): Promise<void> {
    if (!(await this.names.has(TRAITS, name, await this.reader.read()))) throw unknownTrait(name);
  }

  @Put('traits/:name')
  @ServedIn(6)
  @ApiOperation({ operationId: 'createTrait', summary: 'Make a trait; 204: there is one already' })
  @ApiCreatedResponse()
  @ApiNoContentResponse()
  @ApiProblems(400)
  async makeTrait(
    @Param('name') name: string,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    if (!isCustomName(name)) {
      throw new BerthError('request.invalid', `The trait is invalid. A valid trait must be ${CHARACTERS}`);
    }
    reply.status((await this.names.make(TRAITS, name)) ? 201 : 204);
    reply.header('location', this.urlOf(request, `traits/${name}`));
  }

  @Delete('traits/:name')
  @ServedIn(6)
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteTrait', summary: 'Delete a trait that nobody has' })
  @ApiNoContentResponse()
  @ApiProblems(400, 404, 409)
  async removeTrait(@Param('name') name: string): Promise<void> {
    if (TRAITS.standard.has(name)) throw new BerthError('request.invalid', `Cannot delete standard trait ${name}.`);
    if (TRAITS.inUse(await this.reader.read()).has(name)) {
      throw new BerthError('trait.in_use', `The trait ${name} is in use by a resource provider.`);
    }
    if (!(await this.names.remove(TRAITS, name))) throw unknownTrait(name);
  }

  @Get('resource_classes')
  @ServedIn(2)
  @ApiOperation({ operationId: 'listResourceClasses', summary: 'Resource classes' })
  @ApiOkResponse()
  async classes(): Promise<object> {
    return { resource_classes: (await this.names.list(CLASSES, await this.reader.read())).map(classView) };
  }

  @Get('resource_classes/:name')
  @ServedIn(2)
  @ApiOperation({ operationId: 'getResourceClass', summary: 'One resource class' })
  @ApiOkResponse()
  @ApiProblems(404)
  async class(@Param('name') name: string): Promise<object> {
    if (await this.names.has(CLASSES, name, await this.reader.read())) return classView(name);
    throw unknownClass(name);
  }

  @Post('resource_classes')
  @ServedIn(2)
  @ApiOperation({ operationId: 'createResourceClass', summary: 'Make a resource class' })
  @ApiBody({ schema: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } } })
  @ApiCreatedResponse()
  @ApiProblems(400, 409)
  async makeClass(
    @Body() body: object,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    const { name, ...stray } = body as { name?: unknown };
    if (typeof name !== 'string' || !isCustomName(name) || Object.keys(stray).length > 0) throw invalidClass();
    if (CLASSES.inUse(await this.reader.read()).has(name) || !(await this.names.make(CLASSES, name))) {
      throw new BerthError('resource_class.exists', `Conflicting resource class already exists: ${name}`);
    }
    reply.header('location', this.urlOf(request, `resource_classes/${name}`));
  }

  @Put('resource_classes/:name')
  @ServedIn(7)
  @ApiOperation({ operationId: 'ensureResourceClass', summary: 'Make a resource class; 204: there is one already' })
  @ApiCreatedResponse()
  @ApiNoContentResponse()
  @ApiProblems(400)
  async ensureClass(
    @Param('name') name: string,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    if (!isCustomName(name)) throw invalidClass();
    reply.status((await this.names.make(CLASSES, name)) ? 201 : 204);
    reply.header('location', this.urlOf(request, `resource_classes/${name}`));
  }

  @Delete('resource_classes/:name')
  @ServedIn(2)
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteResourceClass', summary: 'Delete a resource class that nobody has' })
  @ApiNoContentResponse()
  @ApiProblems(400, 404, 409)
  async removeClass(@Param('name') name: string): Promise<void> {
    if (CLASSES.standard.has(name)) {
      throw new BerthError(
        'request.invalid',
        `Error in delete resource class: Cannot delete standard resource class ${name}.`,
      );
    }
    if (CLASSES.inUse(await this.reader.read()).has(name)) {
      throw new BerthError(
        'resource_class.in_use',
        `Error in delete resource class: Cannot delete resource class ${name}. Class is in use in inventory.`,
      );
    }
    if (!(await this.names.remove(CLASSES, name))) throw unknownClass(name);
  }

  private urlOf(request: Request, path: string): string {
    return `${this.publicUrl.of(request)}${PLACEMENT_PATH}/${path}`;
  }
}

function nameFilter(text: string | undefined): (name: string) => boolean {
  if (text === undefined) return () => true;
  const [, operator, value = ''] = /^(in|startswith):(.*)$/s.exec(text) ?? [];
  if (operator === 'startswith') return (name) => name.startsWith(value);
  if (operator === 'in') {
    const names = new Set(value.split(','));
    return (name) => names.has(name);
  }
  throw invalid(
    `Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix]. Got: "${clip(text)}"`,
  );
}

function flag(text: string | undefined): boolean | null {
  if (text === undefined) return null;
  const word = text.toLowerCase();
  if (word === 'true' || word === 'false') return word === 'true';
  throw invalid('The query parameter "associated" only accepts "true" or "false"');
}

function unknownTrait(name: string): BerthError {
  return new BerthError('trait.unknown', `No such trait(s): ${clip(name)}.`);
}

function unknownClass(name: string): BerthError {
  return new BerthError('resource_class.unknown', `No such resource class ${clip(name)}.`);
}

function invalidClass(): BerthError {
  return new BerthError(
    'request.invalid',
    `JSON does not validate: the name of a resource class must be ${CHARACTERS}`,
  );
}
