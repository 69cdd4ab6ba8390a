import { ComputeExtraSpecsController } from './extra-specs.controller.js';
import { ComputeFlavorAccessController } from './flavor-access.controller.js';
import { ComputeFlavorsController } from './flavors.controller.js';
import { ComputeImagesController } from './images.controller.js';
import { ComputeKeypairsController } from './keypairs.controller.js';
import { ComputeVersionsController } from './versions.controller.js';

/** The compute face. */
export const COMPUTE_CONTROLLERS = [
  ComputeVersionsController,
  ComputeFlavorsController,
  ComputeFlavorAccessController,
  ComputeExtraSpecsController,
  ComputeImagesController,
  ComputeKeypairsController,
];
