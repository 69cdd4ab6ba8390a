import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { suggestion } from '../../pci/suggest.js';
import * as aggregates from '../../store/aggregates.store.js';
import type { Tx } from '../../store/database.js';
import { Ledger } from '../../store/ledger.js';
import { TEXT_MAP_MAX } from '../fields.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { type PageQuery, pageOf } from '../page.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import {
  type AggregateBody,
  type AggregateChangeBody,
  type AggregatePageView,
  type AggregateView,
  aggregateView,
} from './aggregates.dto.js';
import { keepingZones } from './zone-rules.js';

export const AGGREGATES_PATH = '/v1/aggregates';

@Injectable()
export class AggregatesService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  async list(query: PageQuery): Promise<AggregatePageView> {
    const limit = this.limits.pageSize(query.limit);
    const rows = await aggregates.listAggregates(this.ledger.pool, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: AGGREGATES_PATH, query, limit }, (row) => row.name);
    return { aggregates: page.items.map(aggregateView), next: page.next };
  }

  show(nameOrId: string): Promise<AggregateView> {
    return shown(this.ledger.pool, nameOrId);
  }

  create(body: AggregateBody, key: GivenKey | null): Promise<Created> {
    const fields = {
      name: body.name,
      availability_zone: body.availability_zone ?? null,
      metadata: changed({}, body.metadata ?? {}),
    };
    const id = randomUUID();
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: AGGREGATES_PATH, body }, id, async () => {
        if (!(await aggregates.insertAggregate(tx, id, fields))) throw taken(body.name);
      }),
    );
  }

  /** @throws BerthError `aggregate.zone_conflict` when a host would be in two zones, or a server in one it did not ask for */
  change(nameOrId: string, body: AggregateChangeBody): Promise<AggregateView> {
    return this.ledger.transaction(async (tx) => {
      const row = await locked(tx, nameOrId);
      const fields = {
        name: body.name ?? row.name,
        availability_zone: body.availability_zone === undefined ? row.availability_zone : body.availability_zone,
        metadata: changed(row.metadata, body.metadata ?? {}),
      };
      await keepingZones(tx, await aggregates.lockAggregateHosts(tx, row.id), async () => {
        if (!(await aggregates.updateAggregate(tx, row.id, fields))) throw taken(fields.name);
      });
      return shown(tx, row.id);
    });
  }

  /**
   * @param onlyEmpty whether it stays when it has hosts
   * @throws BerthError `aggregate.in_use`, `aggregate.zone_conflict`
   */
  remove(nameOrId: string, onlyEmpty = false): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const { id, name, host_count } = await locked(tx, nameOrId);
      if (onlyEmpty && host_count > 0) {
        throw new BerthError(
          'aggregate.in_use',
          `Aggregate "${name}" has ${host_count} hosts; take them out of it first`,
        );
      }
      await keepingZones(tx, await aggregates.lockAggregateHosts(tx, id), () => aggregates.deleteAggregate(tx, id));
    });
  }

  /**
   * @param onlyNew whether it is an error when the host is in the aggregate already
   * @throws BerthError `aggregate.host_exists`, `aggregate.zone_conflict`
   */
  addHost(nameOrId: string, host: string, onlyNew = false): Promise<AggregateView> {
    return this.ledger.transaction(async (tx) => {
      const { id, name } = await locked(tx, nameOrId);
      const hostId = await lockedHost(tx, host);
      const isThere = await aggregates.isAggregateHost(tx, id, hostId);
      if (isThere && onlyNew) {
        throw new BerthError('aggregate.host_exists', `Aggregate "${name}" has host ${host} already`);
      }
      if (!isThere) {
        await keepingZones(tx, [hostId], () => aggregates.addAggregateHost(tx, id, hostId));
      }
      return shown(tx, id);
    });
  }

  removeHost(nameOrId: string, host: string): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const { id, name } = await locked(tx, nameOrId);
      const hostId = await lockedHost(tx, host);
      if (!(await aggregates.isAggregateHost(tx, id, hostId))) {
        throw new BerthError('request.not_found', `Host "${host}" is not in aggregate "${name}"`);
      }
      await keepingZones(tx, [hostId], () => aggregates.removeAggregateHost(tx, id, hostId));
    });
  }
}

async function shown(tx: Tx, nameOrId: string): Promise<AggregateView> {
  const row = await aggregates.findAggregate(tx, nameOrId);
  if (!row) throw await unknownAggregate(tx, nameOrId);
  return aggregateView(row);
}

async function locked(tx: Tx, nameOrId: string): Promise<aggregates.AggregateRow> {
  const row = await aggregates.lockAggregate(tx, nameOrId);
  if (!row) throw await unknownAggregate(tx, nameOrId);
  return row;
}

async function lockedHost(tx: Tx, host: string): Promise<string> {
  const id = await aggregates.lockHost(tx, host);
  if (id === null) throw await unknownHost(tx, host);
  return id;
}

async function unknownAggregate(tx: Tx, name: string): Promise<BerthError> {
  const meant = suggestion(name, await aggregates.aggregateNames(tx));
  return new BerthError('aggregate.unknown', `There is no aggregate "${name}"${meant}`);
}

function taken(name: string): BerthError {
  return new BerthError('aggregate.exists', `There is an aggregate "${name}" already`);
}

/** The metadata with some keys set, and those that are null removed. */
function changed(
  metadata: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  if (Object.hasOwn(changes, 'availability_zone')) {
    throw invalidFields([{ field: 'metadata', problem: 'availability_zone: is a field of its own, beside metadata' }]);
  }
  const entries = Object.entries({ ...metadata, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  if (entries.length <= TEXT_MAP_MAX) return Object.fromEntries(entries);
  throw invalidFields([{ field: 'metadata', problem: `would have ${entries.length} keys; at most ${TEXT_MAP_MAX}` }]);
}
