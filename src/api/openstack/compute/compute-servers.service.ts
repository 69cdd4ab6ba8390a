import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import {
  type ComputeServerRow,
  findUnknownPlaces,
  findServerIds,
  type FoundServer,
  readComputeServers,
} from '../../../store/compute-servers.store.js';
import type { Tx } from '../../../store/database.js';
import type { ImageEntity } from '../../../store/entities/image.entities.js';
import type { FlavorSnapshot } from '../../../store/entities/workload.entities.js';
import { Ledger } from '../../../store/ledger.js';
import {
  changeServerDetails,
  insertServerDetails,
  renameServer,
  type ServerDetails,
  touchServer,
} from '../../../store/server-details.store.js';
import { findServer, lockServer } from '../../../store/servers.store.js';
import { type Caller, isAdmin, mayKnow } from '../../identity/caller.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { KeypairsService } from '../../keypairs/keypairs.service.js';
import { ServersService } from '../../servers/servers.service.js';
import { ImagesService } from '../image/images.service.js';
import { isUuid } from './server-fields.js';
import type { ServerQuery } from './server-query.js';
import type { ServerOrderForm } from './server-wishes.js';
import { hostnameFor } from './servers.views.js';

/** A page of servers; `more` when there are some behind it. */
export interface FoundServers {
  readonly servers: readonly FoundServer[];
  readonly more: boolean;
}

export interface ServerChange {
  readonly name?: string;
  readonly details: Partial<ServerDetails>;
}

/** So many names are looked at with one statement, where a pattern chooses. */
const SCANNED_AT_ONCE = 1000;

/** Servers as Nova has them: the native face's, with what it keeps of them beside. */
@Injectable()
export class ComputeServersService {
  constructor(
    private readonly ledger: Ledger,
    private readonly servers: ServersService,
    private readonly images: ImagesService,
    private readonly keypairs: KeypairsService,
  ) {}

  /** @returns the first server of the call */
  async create(caller: Caller, { body, host, details, hostname }: ServerOrderForm): Promise<ComputeServerRow> {
    await this.assertPlaces(body.availability_zone ?? null, host);
    await this.assertKeypair(caller, details.key_name ?? null);
    const image = await this.imageOf(caller, details.image_id ?? null);
    const wishes = image === null ? body : { ...body, image_properties: image.properties };
    const { id } = await this.servers.create(caller, wishes, null, {
      host,
      also: (tx, created) => {
        if (image) assertImageFits(image, created[0]?.flavor ?? null);
        return insertServerDetails(
          tx,
          created.map((server) => ({
            id: server.id,
            hostname: hostname ?? hostnameFor(server.request.serverName, server.id),
          })),
          details,
        );
      },
    });
    return this.find(caller, id);
  }

  /** @throws BerthError `request.invalid` for a marker that is no server of these */
  async list(caller: Caller, { conditions, patterns, order, paging }: ServerQuery): Promise<FoundServers> {
    const { limit, marker } = paging;
    if (marker !== null) await this.assertMarker(caller, marker);
    if (limit === 0) return { servers: [], more: false };
    const texts = patterns.map(({ column }) => column);
    const atOnce = patterns.length === 0 ? limit + 1 : SCANNED_AT_ONCE;
    const found: FoundServer[] = [];
    for (let after = marker?.toLowerCase() ?? null, ended = false; !ended && found.length <= limit;) {
      const page = await findServerIds(this.ledger.pool, conditions, order, { texts, after, limit: atOnce });
      found.push(...page.filter((server) => patterns.every(({ matches }, at) => matches(server.texts[at] ?? ''))));
      after = page.at(-1)?.id ?? null;
      ended = page.length < atOnce;
    }
    return { servers: found.slice(0, limit), more: found.length > limit };
  }

  /** All that is shown of servers, in this order. */
  read(caller: Caller, servers: readonly FoundServer[]): Promise<ComputeServerRow[]> {
    const ids = servers.map(({ id }) => id);
    return readComputeServers(this.ledger.pool, ids, { withUserData: isAdmin(caller) });
  }

  /** @throws BerthError `server.unknown`, also for another project's, and one that is deleted */
  async find(caller: Caller, id: string): Promise<ComputeServerRow> {
    const row = await this.rowOf(this.ledger.pool, caller, id);
    if (row && row.vm_state !== 'deleted') return row;
    throw unknownInstance(id);
  }

  async change(caller: Caller, id: string, { name, details }: ServerChange): Promise<ComputeServerRow> {
    const { id: known } = await this.find(caller, id);
    await this.ledger.transaction(async (tx) => {
      await this.lock(tx, known);
      if (name !== undefined) await renameServer(tx, known, name);
      await changeServerDetails(tx, known, details);
      if (name !== undefined || Object.keys(details).length > 0) await touchServer(tx, known);
    });
    return this.find(caller, known);
  }

  /**
   * Changes what is made of what was there, which nobody else changes meanwhile.
   *
   * @param doing what is to be done, for whoever reads why it may not be: `update metadata`
   * @throws BerthError `server.invalid_status` where the server is not ready for that
   */
  async changeSettled(
    caller: Caller,
    id: string,
    doing: string,
    change: (row: ComputeServerRow) => Partial<ServerDetails>,
  ): Promise<ComputeServerRow> {
    const { id: known } = await this.find(caller, id);
    return this.ledger.transaction(async (tx) => {
      await this.lock(tx, known);
      const row = await this.rowOf(tx, caller, known);
      if (!row) throw unknownInstance(id);
      assertSettled(row, doing);
      const changes = change(row);
      await changeServerDetails(tx, known, changes);
      return { ...row, ...changes };
    });
  }

  async remove(caller: Caller, id: string): Promise<void> {
    const row = await this.find(caller, id);
    await this.servers.remove(caller, row.id);
  }

  /** On which nodes of its host the guest's cells are; null: nowhere in particular. */
  async hostCells(id: string): Promise<readonly number[] | null> {
    return (await findServer(this.ledger.pool, id))?.numa_cells ?? null;
  }

  private async imageOf(caller: Caller, id: string | null): Promise<ImageEntity | null> {
    return id === null ? null : inField('server.imageRef', this.images.imageOf(caller, id));
  }

  private async assertKeypair(caller: Caller, name: string | null): Promise<void> {
    if (name !== null) await inField('server.key_name', this.keypairs.show(caller, null, name));
  }

  private async assertPlaces(zone: string | null, host: string | null): Promise<void> {
    if (zone === null && host === null) return;
    const unknown = await findUnknownPlaces(this.ledger.pool, { zone, host });
    if (unknown.zone) {
      throw invalidFields([{ field: 'server.availability_zone', problem: 'is no zone that there is' }]);
    }
    if (unknown.host)
      throw invalidFields([{ field: 'server.host', problem: `compute host ${host} could not be found` }]);
  }

  private async lock(tx: Tx, id: string): Promise<void> {
    const server = await lockServer(tx, id);
    if (!server || server.status === 'DELETED') throw unknownInstance(id);
  }

  private async assertMarker(caller: Caller, marker: string): Promise<void> {
    if (isUuid(marker) && (await this.rowOf(this.ledger.pool, caller, marker))) return;
    throw invalidFields([{ field: 'marker', problem: `[${marker.slice(0, 60)}] not found` }]);
  }

  private async rowOf(tx: Tx, caller: Caller, id: string): Promise<ComputeServerRow | null> {
    if (!UUID.test(id)) return null;
    const [row] = await readComputeServers(tx, [id.toLowerCase()], { withUserData: isAdmin(caller) });
    return row && mayKnow(caller, row.project_id) ? row : null;
  }
}

/** What a body names and is not there is a fault of the body, not of the path. */
async function inField<T>(field: string, found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (cause) {
    if (cause instanceof BerthError) throw invalidFields([{ field, problem: cause.message }]);
    throw cause;
  }
}

/** @throws BerthError `request.invalid` when the image asks for more than the flavor has */
function assertImageFits({ min_ram_mb, min_disk_gb }: ImageEntity, flavor: FlavorSnapshot | null): void {
  const { ram_mb = 0, disk_gb = 0 } = flavor ?? {};
  const problems = [
    ...(ram_mb < min_ram_mb ? [`has ${ram_mb} MB of memory, and the image needs ${min_ram_mb}`] : []),
    // a flavor without a disk takes the image's
    ...(disk_gb > 0 && disk_gb < min_disk_gb ? [`has ${disk_gb} GB of disk, and the image needs ${min_disk_gb}`] : []),
  ];
  if (problems.length > 0) throw invalidFields(problems.map((problem) => ({ field: 'server.flavorRef', problem })));
}

/** An id in a path is written out. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function unknownInstance(id: string): BerthError {
  return new BerthError('server.unknown', `Instance ${id.slice(0, 60)} could not be found.`);
}

/** As long as a server is being built, failed or goes, Nova changes neither metadata nor tags. */
function assertSettled({ id, vm_state, task }: ComputeServerRow, doing: string): void {
  if (vm_state === 'active' && task === null) return;
  const state = vm_state === 'active' ? `task_state ${task}` : `vm_state ${vm_state}`;
  throw new BerthError('server.invalid_status', `Cannot '${doing}' instance ${id} while it is in ${state}`);
}
