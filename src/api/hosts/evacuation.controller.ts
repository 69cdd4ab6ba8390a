import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  askToLeave,
  countReleasing,
  listEvacuations,
  readServersThere,
  type ServerThere,
} from '../../store/evacuation-admin.store.js';
import { findHost } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { NamePipe } from '../path-names.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import {
  EvacuateBody,
  EvacuationPlanView,
  EvacuationView,
  evacuationView,
  planView,
  RemoveHostQuery,
} from './evacuation.dto.js';
import { HostAdminService, lockedToLeave } from './host-admin.service.js';

/** Hosts that are to be left, and hosts that are gone. The scheduler moves the servers. */
@ApiTags('hosts')
@Controller('v1/hosts')
export class EvacuationController {
  constructor(
    private readonly ledger: Ledger,
    private readonly hosts: HostAdminService,
  ) {}

  @Post(':host/evacuate')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'evacuateHost',
    summary: 'Have the servers of a host placed elsewhere',
    description:
      'A server leaves when another host takes it; its old devices stay taken until the agent has given them back. One for ' +
      'which there is no room stays where it is. Of a host that is down, what its agent holds is given back when it speaks again.',
  })
  @ApiAcceptedResponse({ type: EvacuationPlanView })
  @ApiProblems(400, 404)
  evacuate(
    @CurrentCaller() caller: Caller,
    @Param('host', NamePipe) name: string,
    @Body() body: EvacuateBody,
  ): Promise<EvacuationPlanView> {
    return this.ledger.transaction(async (tx) => {
      const host = await lockedToLeave(tx, name);
      const servers = chosen(await readServersThere(tx, host.id), body.server_ids);
      const { reason = null, wait = true, force = false, disable = true } = body;
      await askToLeave(tx, host, servers, { reason, waits: wait, force, disable }, caller);
      return planView(host.name, servers);
    });
  }

  @Get(':host/evacuation')
  @ApiOperation({ operationId: 'getEvacuation', summary: 'How the evacuation of a host stands' })
  @ApiOkResponse({ type: EvacuationView })
  @ApiProblems(404)
  async progress(@Param('host', NamePipe) name: string): Promise<EvacuationView> {
    const host = await findHost(this.ledger.pool, name);
    if (!host) throw await unknownHost(this.ledger.pool, name);
    const rows = await listEvacuations(this.ledger.pool, host.id);
    return evacuationView(host.name, rows, await countReleasing(this.ledger.pool, host.id));
  }

  @Delete(':host')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeHost',
    summary: 'Say that a host is gone',
    description:
      'Its devices and what was claimed on it are forgotten. Only of a host that no server is on and no reservation keeps ' +
      'devices of, and, without `force`, that is down and disabled. Nobody looks whether the machine is off: that is yours to know. Should its agent speak again, the host ' +
      'is known anew, and its agent is told to give back what it still holds.',
  })
  @ApiNoContentResponse({ description: 'It is forgotten.' })
  @ApiProblems(400, 404, 409)
  remove(@Param('host', NamePipe) name: string, @Query() { force = false }: RemoveHostQuery): Promise<void> {
    return this.hosts.remove(name, force);
  }
}

function chosen(there: readonly ServerThere[], ids: readonly string[] | undefined): readonly ServerThere[] {
  if (ids === undefined) return there;
  const wanted = new Set(ids.map((id) => id.toLowerCase()));
  const strange = [...wanted].filter((id) => !there.some((server) => server.id === id));
  if (strange.length > 0) {
    throw invalidFields(strange.map((id) => ({ field: 'server_ids', problem: `${id} is not on this host` })));
  }
  return there.filter(({ id }) => wanted.has(id));
}
