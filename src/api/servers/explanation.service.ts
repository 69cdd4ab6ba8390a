import { Injectable } from '@nestjs/common';
import type { Decision } from '../../placement/decision.js';
import { QUOTA_FILTER } from '../../store/quota-amounts.js';
import { Ledger } from '../../store/ledger.js';
import * as servers from '../../store/servers.store.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import { type Caller, mayKnow } from '../identity/caller.js';
import { type Audience, type View } from '../placements/decision.view.js';
import { DryRunPolicy } from '../placements/placements.service.js';
import { changesFor, type SmallestChangesView } from './explanation-changes.js';
import type { ExplanationView } from './explanation.dto.js';
import { unknownServer } from './servers.service.js';
import { explanationView } from './explanation.view.js';

/** No change of request or fleet makes room in a quota. */
function isOfQuota({ rejections }: Decision): boolean {
  return rejections[0]?.filter === QUOTA_FILTER;
}

@Injectable()
export class ExplanationService {
  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
  ) {}

  /**
   * The latest decision about a server; of a rejection also what would make it fit now.
   *
   * @throws BerthError `server.unknown`
   */
  async explain(caller: Caller, id: string, view: View, withChanges: boolean): Promise<ExplanationView> {
    const server = await servers.findServer(this.ledger.pool, id);
    if (!server || !mayKnow(caller, server.project_id)) throw unknownServer(id);
    const [record = null] = await servers.findServerDecisions(this.ledger.pool, id, 1);
    const isOfHosts = record?.outcome === 'rejected' && !isOfQuota(record.record as unknown as Decision);
    const changes = withChanges && isOfHosts ? await this.changesOf(server, view) : null;
    return explanationView(server, record, await this.audience(id, view), changes);
  }

  private async changesOf(server: servers.ServerRow, view: View): Promise<SmallestChangesView> {
    await this.snapshots.refresh();
    const snapshot = { hosts: this.snapshots.list(), policy: this.scheduling.policy };
    return changesFor(snapshot, server.request, server.excluded_hosts, view);
  }

  private async audience(id: string, view: View): Promise<Audience> {
    const devices = view === 'admin' ? [] : await servers.findServerDevices(this.ledger.pool, id);
    return { view, own: new Set(devices.map((device) => device.device_id)) };
  }
}
