import { Body, Controller, Delete, Get, HttpCode, Param, Put } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { normalizeAddress, type Address } from '../../pci/address.js';
import { readSriovTarget } from '../../pci/sriov/sriov-target.js';
import { suggestion } from '../../pci/suggest.js';
import type { Tx } from '../../store/database.js';
import { lockHostForChange, type LockedHost } from '../../store/host-admin.store.js';
import { findHost } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { forgetWish, readPfs, readTold, wishVfs, type PfRow } from '../../store/sriov-wishes.store.js';
import { ApiProblems } from '../answers.js';
import { NamePipe } from '../path-names.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import { SriovBody, SriovListView, sriovView, SriovView } from './sriov.dto.js';

/** How many VFs the PFs of a host have, and shall have. */
@ApiTags('hosts')
@Controller('v1/hosts/:host/sriov')
export class SriovController {
  constructor(private readonly ledger: Ledger) {}

  @Get()
  @ApiOperation({ operationId: 'listSriov', summary: 'PFs of a host, their VFs, and who says what shall be' })
  @ApiOkResponse({ type: SriovListView })
  @ApiProblems(404)
  async list(@Param('host', NamePipe) name: string): Promise<SriovListView> {
    const host = await findHost(this.ledger.pool, name);
    if (!host) throw await unknownHost(this.ledger.pool, name);
    const told = await readTold(this.ledger.pool, host.id);
    const pfs = await readPfs(this.ledger.pool, host.id, null);
    return { host: host.name, pfs: pfs.map((pf) => sriovView(pf, told)) };
  }

  @Put(':address')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'setSriov',
    summary: 'Say how many VFs a PF shall have, and how they shall be',
    description:
      'It holds until it is deleted, also after a reboot, and before what a file of the host says. What comes of it is in `wanted` soon ' +
      'after. While the number changes, neither the PF nor one of its VFs is given to anybody. Where somebody has one, it cannot change.',
  })
  @ApiAcceptedResponse({ type: SriovView })
  @ApiProblems(400, 404, 409)
  set(
    @Param('host', NamePipe) name: string,
    @Param('address') text: string,
    @Body() body: SriovBody,
  ): Promise<SriovView> {
    const address = normalizeAddress(text);
    assertReadable(body);
    return this.ledger.transaction(async (tx) => {
      const host = await locked(tx, name);
      const pf = await pfAt(tx, host, address);
      assertPossible(pf, body);
      const { vf_count, autoprobe = null, vfs = null } = body;
      await wishVfs(tx, host, pf, { vf_count, autoprobe, vfs });
      return sriovView(await pfAt(tx, host, address), []);
    });
  }

  @Delete(':address')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'forgetSriov',
    summary: 'Say no longer how many VFs a PF shall have',
    description: 'VFs stay as they are, unless a file of the host says what shall be.',
  })
  @ApiNoContentResponse({ description: 'It is forgotten.' })
  @ApiProblems(400, 404)
  forget(@Param('host', NamePipe) name: string, @Param('address') text: string): Promise<void> {
    const address = normalizeAddress(text);
    return this.ledger.transaction(async (tx) => forgetWish(tx, await locked(tx, name), address));
  }
}

async function locked(tx: Tx, name: string): Promise<LockedHost> {
  const host = await lockHostForChange(tx, name);
  if (host) return host;
  throw await unknownHost(tx, name);
}

async function pfAt(tx: Tx, host: LockedHost, address: Address): Promise<PfRow> {
  const [pf] = await readPfs(tx, host.id, address);
  if (pf) return pf;
  const known = (await readPfs(tx, host.id, null)).map((other) => other.address);
  const message = `Host ${host.name} has no PF at ${address} that can have VFs${suggestion(address, known)}`;
  throw new BerthError('device.unknown', message);
}

function assertReadable(body: SriovBody): void {
  const problems: { field: string; problem: string }[] = [];
  readSriovTarget({ ...body }, (path, text) => {
    problems.push({ field: path.join('.'), problem: text.slice(text.indexOf(': ') + 2) });
  });
  if (problems.length > 0) throw invalidFields(problems);
}

function assertPossible({ address, facts }: PfRow, { vf_count }: SriovBody): void {
  const total = facts.sriov?.total_vfs ?? 0;
  if (vf_count <= total) return;
  throw invalidFields([{ field: 'vf_count', problem: `${address} has at most ${total} VFs` }]);
}
