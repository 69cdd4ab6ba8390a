import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { Ledger } from '../../store/ledger.js';
import * as groups from '../../store/server-groups.store.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce } from '../idempotency.js';
import { assertMarker, type PageQuery, pageOf } from '../page.js';
import { PROJECT_ID } from '../project.js';
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

  async list(query: PageQuery): Promise<ServerGroupPageView> {
    const { pool } = this.ledger;
    const limit = this.limits.pageSize(query.limit);
    const after = await assertMarker(query.marker, async (id) => (await groups.findServerGroup(pool, id)) !== null);
    const rows = await groups.listServerGroups(pool, { after, limit: limit + 1 });
    const page = pageOf(rows, { path: SERVER_GROUPS_PATH, query, limit }, (row) => row.id);
    return { server_groups: page.items.map(serverGroupSummaryView), next: page.next };
  }

  async show(id: string): Promise<ServerGroupView> {
    const row = await groups.findServerGroup(this.ledger.pool, id);
    if (!row) throw unknownGroup(id);
    return serverGroupView(row, await groups.findGroupMembers(this.ledger.pool, id));
  }

  create(body: ServerGroupBody, key: string | null): Promise<Created> {
    const { name, policy } = body;
    const most = body.max_server_per_host ?? null;
    if (most !== null && policy !== 'anti-affinity') {
      const problem = `means nothing with policy ${policy}; leave it out, or say anti-affinity`;
      throw invalidFields([{ field: 'max_server_per_host', problem }]);
    }
    const id = randomUUID();
    const group = { id, name, project_id: PROJECT_ID, policy, max_server_per_host: most ?? 1 };
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: SERVER_GROUPS_PATH, body }, id, () => groups.insertServerGroup(tx, group)),
    );
  }

  remove(id: string): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      if (!(await groups.deleteServerGroup(tx, id))) throw unknownGroup(id);
    });
  }
}

function unknownGroup(id: string): BerthError {
  return new BerthError('server_group.unknown', `There is no server group with the id ${id}`);
}
