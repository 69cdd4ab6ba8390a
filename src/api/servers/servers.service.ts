import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { Tx } from '../../store/database.js';
import { Ledger } from '../../store/ledger.js';
import { queuePosition } from '../../store/queue.store.js';
import { beginActions, endActions } from '../../store/server-actions.store.js';
import * as servers from '../../store/servers.store.js';
import { type Caller, isAdmin, listedProject, mayKnow } from '../identity/caller.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { assertMarker, pageOf } from '../page.js';
import type { View } from '../placements/decision.view.js';
import { assertServersWithinQuota } from '../quotas/quota-check.js';
import { RequestRules } from '../request-rules.js';
import { countOf, createdLink, type CreatedServerView, newServers } from './multi-create.js';
import { resolveRequest, wisherOf } from './resolve-request.js';
import { projectServerView, projectSummaryView } from './project-server.views.js';
import {
  type RecordedDecisionsView,
  recordedDecisionView,
  type ServerPageView,
  serverSummaryView,
  type ServerView,
  serverView,
} from './server.views.js';
import type { ServerBody, ServersQuery } from './servers.dto.js';

export const SERVERS_PATH = '/v1/servers';

/** What a face of OpenStack has to say of new servers beside the body. */
export interface FurtherWishes {
  /** The only host that will do, by name; null: any. */
  readonly host?: string | null;
  /** Is done in the transaction that writes the servers. */
  readonly also?: (tx: Tx, created: readonly servers.NewServer[]) => Promise<void>;
}

@Injectable()
export class ServersService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly rules: RequestRules,
  ) {}

  async list(caller: Caller, query: ServersQuery): Promise<ServerPageView> {
    const limit = this.limits.pageSize(query.limit);
    const filter = {
      status: query.status ?? null,
      host: hostFilter(caller, query.host),
      name: query.name ?? null,
      projectId: listedProject(caller, query.project_id),
    };
    const after = await assertMarker(query.marker, async (id) => (await this.rowOf(caller, id)) !== null);
    const rows = await servers.listServers(this.ledger.pool, filter, { after, limit: limit + 1 });
    const page = pageOf(rows, { path: SERVERS_PATH, query, limit }, (row) => row.id);
    const views = page.items.map(serverSummaryView);
    return { servers: isAdmin(caller) ? views : views.map(projectSummaryView), next: page.next };
  }

  async show(caller: Caller, id: string): Promise<ServerView> {
    const view = await this.find(caller, id);
    if (view.status === 'DELETED') throw unknownServer(id);
    return view;
  }

  /** Also a server that was deleted: what a repeated request made may be gone by now. */
  async find(caller: Caller, id: string): Promise<ServerView> {
    const row = await this.rowOf(caller, id);
    if (!row) throw unknownServer(id);
    const devices = await servers.findServerDevices(this.ledger.pool, id);
    const events = await servers.findServerEvents(this.ledger.pool, id);
    const position = row.task_state === 'waiting' ? await queuePosition(this.ledger.pool, id) : null;
    const view = { ...serverView(row, devices, events), queue_position: position };
    return isAdmin(caller) ? view : projectServerView(view);
  }

  /**
   * Writes the wish; the scheduler finds the place.
   *
   * @throws BerthError `quota.exceeded`, and what {@link resolveRequest} throws
   */
  create(
    caller: Caller,
    body: ServerBody,
    key: GivenKey | null,
    { host = null, also }: FurtherWishes = {},
  ): Promise<Created> {
    const ids = Array.from({ length: countOf(body) }, () => randomUUID());
    const [first = ''] = ids;
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: SERVERS_PATH, body }, first, async () => {
        const { flavor, request: asked } = await resolveRequest(tx, wisherOf(caller, body.name), body, this.rules);
        const request = host === null ? asked : { ...asked, host: { ...asked.host, requestedHost: host } };
        await assertServersWithinQuota(tx, request, { count: body.min_count ?? 1, waits: body.wait ?? false });
        const created = newServers(body, ids, { flavor, request });
        await servers.insertServers(tx, created);
        await beginActions(tx, ids, { action: 'create', state: 'open' }, caller);
        await also?.(tx, created);
      }),
    );
  }

  /** What a create answers: the first server, and the others of the call. */
  async created(caller: Caller, id: string): Promise<CreatedServerView> {
    const gang = await servers.findGang(this.ledger.pool, id);
    const view = await this.find(caller, id);
    return gang.length === 0 ? view : { ...view, servers: gang.map(createdLink) };
  }

  /** @returns whether the server is gone already; else the scheduler gives its devices back first */
  async remove(caller: Caller, id: string): Promise<boolean> {
    if (!(await this.rowOf(caller, id))) throw unknownServer(id);
    return this.ledger.transaction(async (tx) => {
      const server = await servers.lockServerForDelete(tx, id);
      if (!server) throw unknownServer(id);
      if (server.status === 'DELETED') return true;
      if (server.isLocked && !isAdmin(caller)) throw new BerthError('server.locked', `Instance ${id} is locked`);
      if (server.status === 'DELETING' && server.holdsClaim) return false;
      await endActions(tx, [id], 'error', 'The server was deleted meanwhile.');
      await beginActions(tx, [id], { action: 'delete', state: 'open' }, caller);
      if (server.holdsClaim) {
        await servers.markDeleting(tx, id);
        return false;
      }
      await servers.markDeleted(tx, id);
      return true;
    });
  }

  async decisions(caller: Caller, id: string, view: View): Promise<RecordedDecisionsView> {
    if (!(await this.rowOf(caller, id))) throw unknownServer(id);
    const rows = await servers.findServerDecisions(this.ledger.pool, id, this.limits.pageSize(undefined));
    const held = view === 'admin' ? [] : await servers.findServerDevices(this.ledger.pool, id);
    const audience = { view, own: new Set(held.map((device) => device.device_id)) };
    return { decisions: rows.map((row) => recordedDecisionView(row, audience)) };
  }

  /** Another project's server is as one that there is not. */
  private async rowOf(caller: Caller, id: string): Promise<servers.ServerRow | null> {
    const row = await servers.findServer(this.ledger.pool, id);
    return row && mayKnow(caller, row.project_id) ? row : null;
  }
}

/** Which hosts there are is for administrators. */
function hostFilter(caller: Caller, host: string | undefined): string | null {
  if (host === undefined || isAdmin(caller)) return host ?? null;
  throw new BerthError('auth.forbidden', 'host: only an administrator may look for servers by their host');
}

export function unknownServer(id: string): BerthError {
  return new BerthError('server.unknown', `There is no server with the id ${id}`);
}
