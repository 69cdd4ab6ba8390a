import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Put, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller, listedProject } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { NamePipe } from '../path-names.js';
import { QuotasBody, QuotasChangeBody, QuotasQuery, QuotasView } from './quotas.dto.js';
import { QuotasService } from './quotas.service.js';

const OF_PROJECT = 'The project `*` stands for the defaults of every project.';

@ApiTags('quotas')
@Controller('v1/quotas')
export class QuotasController {
  constructor(private readonly quotas: QuotasService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'getQuotas', summary: 'What a project may have, and what it has' })
  @ApiOkResponse({ type: QuotasView })
  @ApiProblems(400)
  show(@CurrentCaller() caller: Caller, @Query() query: QuotasQuery): Promise<QuotasView> {
    return this.quotas.show(listedProject(caller, query.project_id) ?? caller.projectId);
  }

  @Put(':project_id')
  @ApiOperation({
    operationId: 'setQuotas',
    summary: 'Set all limits that a project has of its own',
    description: `${OF_PROJECT} A limit below what is used takes nothing away; the answer says so in \`hints\`.`,
  })
  @ApiOkResponse({ type: QuotasView })
  @ApiProblems(400, 404)
  replace(@Param('project_id', NamePipe) projectId: string, @Body() { limits }: QuotasBody): Promise<QuotasView> {
    return this.quotas.replace(projectId, limits);
  }

  @Patch(':project_id')
  @ApiOperation({ operationId: 'changeQuotas', summary: 'Change some limits of a project', description: OF_PROJECT })
  @ApiOkResponse({ type: QuotasView })
  @ApiProblems(400, 404)
  change(@Param('project_id', NamePipe) projectId: string, @Body() { limits }: QuotasChangeBody): Promise<QuotasView> {
    return this.quotas.change(projectId, limits);
  }

  @Delete(':project_id')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteQuotas',
    summary: 'Remove the limits that a project has of its own; the defaults hold',
    description: OF_PROJECT,
  })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@Param('project_id', NamePipe) projectId: string): Promise<void> {
    return this.quotas.remove(projectId);
  }
}
