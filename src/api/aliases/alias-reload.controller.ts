import { Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { isInvalid, problemsOf, type ReloadOutcome } from '../../settings/live-configuration.js';
import { ApiProblems } from '../answers.js';
import type { FieldError } from '../request-validation.pipe.js';

/** The configuration files of this process. */
export class AliasFiles {
  constructor(readonly reload: (() => Promise<ReloadOutcome>) | null) {}
}

export class AliasReloadView {
  @ApiProperty({ type: [String], description: 'Names of aliases.' }) readonly added: readonly string[];
  @ApiProperty({ type: [String] }) readonly changed: readonly string[];
  @ApiProperty({ type: [String] }) readonly removed: readonly string[];
  @ApiProperty({
    type: [String],
    description: "What the files of another process have changed, and this one's not yet. Nothing was done for them.",
  })
  readonly behind: readonly string[];
  @ApiProperty({ type: [String], description: "Changed settings that wait for this process's next start." })
  readonly needs_restart: readonly string[];
  @ApiProperty({ type: String, format: 'date-time' }) readonly loaded_at: Date;
}

@ApiTags('aliases')
@Controller('v1/aliases/reload')
export class AliasReloadController {
  constructor(private readonly files: AliasFiles) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'reloadAliases',
    summary: 'Read the configuration files of the process that answers again',
    description: 'All or nothing: with a problem in any file nothing changes, and `errors` has every problem.',
  })
  @ApiOkResponse({ type: AliasReloadView })
  @ApiProblems(409)
  async reload(): Promise<AliasReloadView> {
    if (!this.files.reload) throw new BerthError('configuration.not_taken', 'This process has no configuration files');
    const outcome = await this.files.reload();
    if (!outcome.taken) throw isInvalid(outcome.error) ? notTaken(outcome.error) : outcome.error;
    const { added, changed, removed, behind } = outcome.aliases ?? NO_CHANGES;
    return {
      added,
      changed,
      removed,
      behind,
      needs_restart: outcome.state.needsRestart,
      loaded_at: outcome.state.loadedAt,
    };
  }
}

const NO_CHANGES = { added: [], changed: [], removed: [], behind: [] };

function notTaken(error: unknown): BerthError {
  const problems = problemsOf(error);
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more, see errors)` : '';
  return new BerthError('configuration.not_taken', `${problems[0]}${more}`, {
    cause: error,
    details: { errors: problems.map(located) },
  });
}

/** `berth.yaml:12: alias gpu: …` is a problem at `berth.yaml:12`. */
function located(problem: string): FieldError {
  const [, place, text] = /^(\S+:\d+): ([^]*)$/.exec(problem) ?? [];
  return place === undefined || text === undefined ? { field: '', problem } : { field: place, problem: text };
}
