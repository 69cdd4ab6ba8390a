import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import type { PlacementRequest } from '../../../placement/request.js';
import { changeServerDetails, renameServer, type ServerDetails } from '../../../store/server-details.store.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { KeypairsService } from '../../keypairs/keypairs.service.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { imageWishes } from '../../servers/host-wishes.js';
import { ServerActionsService } from '../../servers/server-actions.service.js';
import { ImagesService } from '../image/images.service.js';
import { adminPassword } from './admin-password.js';
import { ComputeServersService } from './compute-servers.service.js';
import { refuseBefore } from './microversion-fields.js';
import { idOfReference, plainIpv6 } from './server-fields.js';
import { REBUILD_SINCE, type RebuildAction } from './server-rebuild.dto.js';
import { assertMetadataFits } from './server-wishes.js';
import { serverView } from './servers.views.js';

const NO_FILES_SINCE = 57;
const USER_DATA = 'OS-EXT-SRV-ATTR:user_data';
/** From which version on the answer has the field. */
const SHOWN_SINCE = { keyName: 54, userData: 57, whole: 75 } as const;

/** Servers that begin anew from an image. They stay where they are, with what they have. */
@Injectable()
export class ServerRebuildService {
  constructor(
    private readonly actions: ServerActionsService,
    private readonly images: ImagesService,
    private readonly keypairs: KeypairsService,
    private readonly servers: ComputeServersService,
  ) {}

  /** @returns what Nova answers */
  async rebuild(
    caller: Caller,
    id: string,
    { minor, base }: { readonly minor: number; readonly base: string },
    wish: RebuildAction,
  ): Promise<object> {
    assertKnown(minor, wish);
    const { key_name: keyName } = wish;
    if (keyName !== undefined && keyName !== null) {
      await inField('key_name', this.keypairs.show(caller, null, keyName));
    }
    await this.actions.rebuild(caller, id, async (tx, { request }) => {
      const image = await inField('imageRef', this.images.imageOf(caller, idOfReference(wish.imageRef)));
      await changeServerDetails(tx, id, { ...detailsOf(wish), image_id: image.id });
      if (wish.name !== undefined) await renameServer(tx, id, wish.name);
      const named = { ...request, serverName: wish.name ?? request.serverName };
      return withImage(named, imageWishes(image.properties).properties);
    });
    const row = await this.servers.find(caller, id);
    const shown = serverView(row, { minor, base, isAdmin: isAdmin(caller) }, 'update') as Readonly<
      Record<string, unknown>
    >;
    // the one attribute that this answer has under a shorter name
    const { [USER_DATA]: _longer, ...view } = shown;
    const isPart = minor < SHOWN_SINCE.whole;
    return {
      server: {
        ...view,
        ...(isPart && minor >= SHOWN_SINCE.keyName ? { key_name: row.key_name } : {}),
        ...(minor >= SHOWN_SINCE.userData ? { user_data: row.user_data } : {}),
        adminPass: wish.adminPass ?? adminPassword(),
      },
    };
  }
}

function assertKnown(minor: number, wish: RebuildAction): void {
  refuseBefore(minor, wish, REBUILD_SINCE, 'rebuild');
  if (minor >= NO_FILES_SINCE && wish.personality !== undefined) {
    throw invalidFields([{ field: 'rebuild.personality', problem: 'is there before version 2.57 only' }]);
  }
  if (wish.metadata) assertMetadataFits(wish.metadata);
}

function detailsOf(wish: RebuildAction): Partial<ServerDetails> {
  const { metadata, description, hostname, user_data, key_name, accessIPv4, accessIPv6 } = wish;
  const disk = wish['OS-DCF:diskConfig'];
  return {
    ...(metadata === undefined ? {} : { metadata }),
    ...(description === undefined ? {} : { description }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(user_data === undefined ? {} : { user_data }),
    ...(key_name === undefined ? {} : { key_name }),
    ...(accessIPv4 === undefined ? {} : { access_ipv4: accessIPv4 }),
    ...(accessIPv6 === undefined ? {} : { access_ipv6: plainIpv6(accessIPv6) }),
    ...(disk === undefined ? {} : { disk_config: disk }),
  };
}

/** What a decision that is to come looks at. Where the server is, is decided already. */
function withImage(request: PlacementRequest, properties: Readonly<Record<string, string>>): PlacementRequest {
  const { imageProperties: _before, ...host } = request.host ?? {};
  return {
    ...request,
    host: { ...host, ...(Object.keys(properties).length === 0 ? {} : { imageProperties: properties }) },
  };
}

/** What a body names and is not there is a fault of the body, not of the path. */
async function inField<T>(field: string, found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (cause) {
    if (cause instanceof BerthError) throw invalidFields([{ field: `rebuild.${field}`, problem: cause.message }]);
    throw cause;
  }
}
