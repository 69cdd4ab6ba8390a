import { ComputeExtensionsController } from './extensions.controller.js';
import { ComputeAggregatesController } from './aggregates.controller.js';
import { ComputeZonesController } from './availability-zones.controller.js';
import { ComputeExtraSpecsController } from './extra-specs.controller.js';
import { ComputeFlavorAccessController } from './flavor-access.controller.js';
import { ComputeFlavorsController } from './flavors.controller.js';
import { ComputeHostsController } from './hosts.controller.js';
import { HypervisorsController } from './hypervisors.controller.js';
import { ComputeImagesController } from './images.controller.js';
import { InstanceActionsController } from './instance-actions.controller.js';
import { ComputeKeypairsController } from './keypairs.controller.js';
import {
  ComputeLimitsController,
  ComputeQuotaClassesController,
  ComputeQuotasController,
} from './quotas.controller.js';
import { ComputeUsageController } from './usage.controller.js';
import { ComputeServerGroupsController } from './server-groups.controller.js';
import { ServicesController } from './services.controller.js';
import { SERVER_CONTROLLERS } from './server-controllers.js';
import { ComputeMigrationsController } from './migrations.controller.js';
import { ComputeServerActionsController } from './server-actions.controller.js';
import { ComputeVersionsController } from './versions.controller.js';

/** The compute face. */
export const COMPUTE_CONTROLLERS = [
  ComputeVersionsController,
  ComputeFlavorsController,
  ComputeFlavorAccessController,
  ComputeExtraSpecsController,
  ComputeImagesController,
  ComputeKeypairsController,
  ComputeQuotasController,
  ComputeQuotaClassesController,
  ComputeLimitsController,
  ComputeUsageController,
  ComputeExtensionsController,
  HypervisorsController,
  ServicesController,
  ComputeHostsController,
  ComputeAggregatesController,
  ComputeZonesController,
  ComputeServerGroupsController,
  ...SERVER_CONTROLLERS,
  ComputeServerActionsController,
  InstanceActionsController,
  ComputeMigrationsController,
];
