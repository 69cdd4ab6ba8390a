import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { Ledger } from '../../store/ledger.js';
import * as groups from '../../store/server-groups.store.js';
import { type Caller, isAdmin, listedProject, mayKnow } from '../identity/caller.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { assertMarker, type PageQuery, pageOf } from '../page.js';
import { invalidFields } from '../request-validation.pipe.js';
import {
  type ServerGroupBody,
  type ServerGroupPageView,
  serverGroupSummaryView,
  type ServerGroupView,
  serverGroupView,
} from './server-groups.dto.js';

export const SERVER_GROUPS_PATH = '/v1/server-groups';

@Injectable()
export class ServerGroupsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  async list(caller: Caller, query: PageQuery): Promise<ServerGroupPageView> {
    const { pool } = this.ledger;
    const limit = this.limits.pageSize(query.limit);
    const after = await assertMarker(query.marker, async (id) => (await this.find(caller, id)) !== null);
    const rows = await groups.listServerGroups(pool, listedProject(caller, undefined), { after, limit: limit + 1 });
    const page = pageOf(rows, { path: SERVER_GROUPS_PATH, query, limit }, (row) => row.id);
    return { server_groups: page.items.map(serverGroupSummaryView), next: page.next };
  }

  async show(caller: Caller, id: string): Promise<ServerGroupView> {
    const row = await this.find(caller, id);
    if (!row) throw unknownGroup(id);
    const members = await groups.findGroupMembers(this.ledger.pool, id);
    return serverGroupView(row, isAdmin(caller) ? members : members.map((member) => ({ ...member, host: null })));
  }

  create({ projectId, userId }: Caller, body: ServerGroupBody, key: GivenKey | null): Promise<Created> {
    const { name, policy } = body;
    const most = body.max_server_per_host ?? null;
    if (most !== null && policy !== 'anti-affinity') {
      const problem = `means nothing with policy ${policy}; leave it out, or say anti-affinity`;
      throw invalidFields([{ field: 'max_server_per_host', problem }]);
    }
    const id = randomUUID();
    const group = { id, name, project_id: projectId, user_id: userId, policy, max_server_per_host: most ?? 1 };
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: SERVER_GROUPS_PATH, body }, id, () => groups.insertServerGroup(tx, group)),
    );
  }

  async remove(caller: Caller, id: string): Promise<void> {
    if (!(await this.find(caller, id))) throw unknownGroup(id);
    await this.ledger.transaction(async (tx) => {
      if (!(await groups.deleteServerGroup(tx, id))) throw unknownGroup(id);
    });
  }

  private async find(caller: Caller, id: string): Promise<groups.ServerGroupRow | null> {
    const row = await groups.findServerGroup(this.ledger.pool, id);
    return row && mayKnow(caller, row.project_id) ? row : null;
  }
}

function unknownGroup(id: string): BerthError {
  return new BerthError('server_group.unknown', `There is no server group with the id ${id}`);
}
