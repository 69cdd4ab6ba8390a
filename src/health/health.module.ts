import { Controller, type DynamicModule, Get, HttpCode, Module, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';

/** One thing a role cannot work without, or should not go without for long. */
export interface Check {
  readonly ok: boolean;
  /** true: the role works all the same, so it is ready; somebody should look. */
  readonly advisory?: boolean;
  readonly message?: string;
}

/** By name: `database`, `migrations`, `broker`, … Must not throw; when it does, the role is not ready. */
export type Checks = () => Promise<Readonly<Record<string, Check>>>;

export interface HealthOptions {
  /** `api`, `scheduler`, `agent` or `all`. */
  readonly role: string;
  readonly checks: Checks;
}

/** What the health paths need of the HTTP answer. */
interface Reply {
  status(code: number): unknown;
}

class LiveView {
  @ApiProperty({ type: String, enum: ['alive'] }) readonly status: 'alive';
  @ApiProperty({ type: String }) readonly role: string;
}

class ReadyView {
  @ApiProperty({ type: String, enum: ['ready', 'not_ready'] }) readonly status: 'ready' | 'not_ready';
  @ApiProperty({ type: String }) readonly role: string;
  @ApiProperty({
    type: 'object',
    additionalProperties: {
      type: 'object',
      required: ['ok'],
      properties: {
        ok: { type: 'boolean' },
        advisory: { type: 'boolean', description: 'true: the role is ready all the same; somebody should look.' },
        message: { type: 'string' },
      },
    },
  })
  readonly checks: Readonly<Record<string, Check>>;
}

/** `GET /healthz` and `GET /readyz`, for every role that serves HTTP. */
@Module({})
export class HealthModule {
  static register(options: HealthOptions): DynamicModule {
    return { module: HealthModule, controllers: [healthController(options)] };
  }
}

/** A class for each registration, so that roles in one process do not share their checks. */
function healthController(options: HealthOptions): new () => object {
  @ApiTags('health')
  @Controller()
  class HealthController {
    @Get('healthz')
    @HttpCode(200)
    @ApiOperation({ operationId: 'getLiveness', summary: 'Whether the process lives' })
    @ApiOkResponse({ type: LiveView })
    live(): LiveView {
      return { status: 'alive', role: options.role };
    }

    @Get('readyz')
    @ApiOperation({ operationId: 'getReadiness', summary: 'Whether the process can do its work' })
    @ApiOkResponse({ type: ReadyView })
    @ApiServiceUnavailableResponse({ type: ReadyView })
    async ready(@Res({ passthrough: true }) reply: Reply): Promise<ReadyView> {
      const view = await readiness(options);
      reply.status(view.status === 'ready' ? 200 : 503);
      return view;
    }
  }
  return HealthController;
}

async function readiness({ role, checks }: HealthOptions): Promise<ReadyView> {
  try {
    const results = await checks();
    const ready = Object.values(results).every((check) => check.ok || check.advisory === true);
    return { status: ready ? 'ready' : 'not_ready', role, checks: results };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { status: 'not_ready', role, checks: { checks: { ok: false, message } } };
  }
}
