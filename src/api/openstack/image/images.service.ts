import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import type { Tx } from '../../../store/database.js';
import type { ImageEntity } from '../../../store/entities/image.entities.js';
import * as images from '../../../store/images.store.js';
import { Ledger } from '../../../store/ledger.js';
import { newId } from '../../../store/new-id.js';
import { HttpLimits } from '../../http-limits.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { assertMarker } from '../../page.js';
import { flatImage, type FlatImage, readImage } from './image-fields.js';
import { patchImage } from './image-patch.js';
import { type AskedImages, type ImageQuery, readImageQuery } from './image-query.js';
import type { ImagePatchStep } from './images.dto.js';

const IMAGES_MAX = 10_000;
const MEMBERS_MAX = 128;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Images: what they are called, what properties they have, and who sees them. */
@Injectable()
export class ImagesService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  /** @returns `next`: the image after which the next page begins; null on the last one */
  async list(
    caller: Caller,
    query: ImageQuery,
  ): Promise<{ readonly images: readonly ImageEntity[]; readonly next: string | null; readonly limit: number }> {
    const asked = readImageQuery(query);
    const limit = Math.min(asked.limit ?? this.limits.pageSize(undefined), this.limits.pageSizeMax);
    const rows = await this.rows(caller, asked, limit + 1);
    const shown = rows.slice(0, limit);
    return { images: shown, next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null, limit };
  }

  /** @throws BerthError `image.unknown`, also for one that the caller does not see */
  show(caller: Caller, id: string): Promise<ImageEntity> {
    return find(this.ledger.pool, caller, id);
  }

  /**
   * The image that a server is to be created with.
   *
   * @param idOrName a name does as long as the caller sees one image of it
   * @throws BerthError `image.unknown`, `image.ambiguous`
   */
  async imageOf(caller: Caller, idOrName: string): Promise<ImageEntity> {
    const byId = await findOrNull(this.ledger.pool, caller, idOrName);
    if (byId) return byId;
    const [named, another] = await images.findImagesNamed(this.ledger.pool, viewerOf(caller), idOrName);
    if (!named) throw unknown(idOrName);
    if (!another) return named;
    throw new BerthError('image.ambiguous', `More than one image is called ${idOrName}; say its id.`);
  }

  async create(caller: Caller, said: FlatImage): Promise<ImageEntity> {
    const fields = readImage(said, { id: newId(), owner_project_id: caller.projectId, members: [] });
    return this.ledger.transaction(async (tx) => {
      if ((await images.countImages(tx)) >= IMAGES_MAX) {
        throw new BerthError('quota.exceeded', `There are ${IMAGES_MAX} images, and that is as many as there may be.`);
      }
      if (await images.insertImage(tx, fields)) return find(tx, caller, fields.id);
      throw new BerthError('image.exists', `There is an image with the id ${fields.id} already.`);
    });
  }

  change(caller: Caller, id: string, steps: readonly ImagePatchStep[]): Promise<ImageEntity> {
    return this.ledger.transaction(async (tx) => {
      const before = await find(tx, caller, id, { lock: true });
      await images.updateImage(tx, readImage(patchImage(flatImage(before), steps), before));
      return find(tx, caller, id);
    });
  }

  remove(caller: Caller, id: string): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const image = await find(tx, caller, id, { lock: true });
      if (image.protected) {
        throw new BerthError('image.protected', `Image ${image.id} is protected and cannot be deleted.`);
      }
      await images.deleteImage(tx, image.id);
    });
  }

  /** Lets a project see a shared image. */
  addMember(caller: Caller, id: string, project: string): Promise<ImageEntity> {
    return this.changeMembers(caller, id, (members) => {
      if (members.includes(project)) {
        throw new BerthError('image.exists', `Project ${project} is a member of the image already.`);
      }
      if (members.length < MEMBERS_MAX) return [...members, project];
      throw new BerthError('quota.exceeded', `An image has at most ${MEMBERS_MAX} members.`);
    });
  }

  async removeMember(caller: Caller, id: string, project: string): Promise<void> {
    await this.changeMembers(caller, id, (members) => {
      if (members.includes(project)) return members.filter((one) => one !== project);
      throw new BerthError('request.not_found', `Project ${project} is no member of the image.`);
    });
  }

  private changeMembers(
    caller: Caller,
    id: string,
    change: (members: readonly string[]) => string[],
  ): Promise<ImageEntity> {
    return this.ledger.transaction(async (tx) => {
      const image = await find(tx, caller, id, { lock: true });
      if (image.visibility !== 'shared') {
        throw new BerthError('auth.forbidden', 'Only a shared image has members.');
      }
      await images.updateImage(tx, { ...image, members: change(image.members) });
      return find(tx, caller, id);
    });
  }

  private async rows(caller: Caller, { filter, page, marker }: AskedImages, limit: number): Promise<ImageEntity[]> {
    const after = await assertMarker(
      marker ?? undefined,
      async (id) => (await findOrNull(this.ledger.pool, caller, id)) !== null,
    );
    return images.listImages(this.ledger.pool, viewerOf(caller), filter, { ...page, after, limit });
  }
}

function viewerOf(caller: Caller): images.ImageViewer {
  return isAdmin(caller) ? null : caller.projectId;
}

async function find(tx: Tx, caller: Caller, id: string, options: { lock?: boolean } = {}): Promise<ImageEntity> {
  const found = await findOrNull(tx, caller, id, options);
  if (found) return found;
  throw unknown(id);
}

async function findOrNull(
  tx: Tx,
  caller: Caller,
  id: string,
  options: { lock?: boolean } = {},
): Promise<ImageEntity | null> {
  return UUID.test(id) ? images.findImage(tx, viewerOf(caller), id, options) : null;
}

function unknown(id: string): BerthError {
  return new BerthError('image.unknown', `Image ${id.slice(0, 100)} could not be found.`);
}
