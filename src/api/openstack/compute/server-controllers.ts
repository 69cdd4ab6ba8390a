import { ServerMetadataController } from './server-metadata.controller.js';
import { ServerPartsController } from './server-parts.controller.js';
import { ServerTagsController } from './server-tags.controller.js';
import { ComputeServersController } from './servers.controller.js';

/** Nova's servers, without their actions. */
export const SERVER_CONTROLLERS = [
  ComputeServersController,
  ServerMetadataController,
  ServerTagsController,
  ServerPartsController,
];
