import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { Tx } from '../../store/database.js';
import type { FlavorEntity } from '../../store/entities/catalog.entities.js';
import * as access from '../../store/flavor-access.store.js';
import * as flavors from '../../store/flavors.store.js';
import { Ledger } from '../../store/ledger.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownFlavor } from '../unknown-names.js';

const PROJECTS_MAX = 1_000;

/** Which projects may use flavors that are not public. Flavors are named by their ids. */
@Injectable()
export class FlavorAccessService {
  constructor(private readonly ledger: Ledger) {}

  /** @throws BerthError `flavor.unknown` */
  async show(id: string): Promise<{ readonly isPublic: boolean; readonly projects: readonly string[] }> {
    const tx = this.ledger.pool;
    const flavor = await flavors.findFlavor(tx, byId(id));
    if (!flavor) throw await unknownFlavor(tx, byId(id), null);
    return { isPublic: flavor.is_public, projects: await access.flavorProjects(tx, id) };
  }

  /**
   * @param options.evenIfPublic whether a flavor that everybody has takes it, too
   * @returns all projects with access
   * @throws BerthError `flavor.unknown`, `flavor.access` when it has access anyway, `request.invalid` above the limit
   */
  add(id: string, projectId: string, { evenIfPublic }: { readonly evenIfPublic: boolean }): Promise<string[]> {
    return this.ledger.transaction(async (tx) => {
      const flavor = await lock(tx, id);
      if (flavor.is_public && !evenIfPublic) {
        throw new BerthError('flavor.access', 'The flavor is public; nobody needs access to it');
      }
      if (!(await access.addFlavorAccess(tx, id, projectId))) {
        throw new BerthError('flavor.access', `Project "${projectId}" has access to the flavor already`);
      }
      const projects = await access.flavorProjects(tx, id);
      if (projects.length <= PROJECTS_MAX) return projects;
      throw invalidFields([{ field: 'tenant', problem: `a flavor has at most ${PROJECTS_MAX} projects` }]);
    });
  }

  /**
   * @returns all projects that still have access
   * @throws BerthError `flavor.unknown`, `request.not_found` when it has none
   */
  remove(id: string, projectId: string): Promise<string[]> {
    return this.ledger.transaction(async (tx) => {
      await lock(tx, id);
      if (await access.removeFlavorAccess(tx, id, projectId)) return access.flavorProjects(tx, id);
      throw new BerthError('request.not_found', `Project "${projectId}" has no access to the flavor`);
    });
  }
}

function byId(id: string): flavors.FlavorRef {
  return { id, orName: false, projectId: null };
}

async function lock(tx: Tx, id: string): Promise<FlavorEntity> {
  const flavor = await flavors.lockFlavor(tx, byId(id));
  if (!flavor) throw await unknownFlavor(tx, byId(id), null);
  return flavor;
}
