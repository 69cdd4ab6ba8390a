import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { type HealthOptions, HealthModule } from '../health/health.module.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { ReloadOutcome } from '../settings/live-configuration.js';
import type { HttpSettings, PciSettings } from '../settings/settings.js';
import { AggregatesController } from './aggregates/aggregates.controller.js';
import { AggregatesService } from './aggregates/aggregates.service.js';
import { AliasFiles, AliasReloadController } from './aliases/alias-reload.controller.js';
import { AliasesController } from './aliases/aliases.controller.js';
import { AliasesService } from './aliases/aliases.service.js';
import { AuditController } from './audit/audit.controller.js';
import { AvailabilityZonesController } from './availability-zones/availability-zones.controller.js';
import { CapacityController } from './capacity/capacity.controller.js';
import { CapacityService } from './capacity/capacity.service.js';
import { DefragmentationController } from './defragmentation/defragmentation.controller.js';
import { DefragmentationService } from './defragmentation/defragmentation.service.js';
import { DeviceSpecsController } from './device-specs/device-specs.controller.js';
import { DeviceSpecsService } from './device-specs/device-specs.service.js';
import { DeviceHoldsController } from './devices/device-holds.controller.js';
import { DevicesController } from './devices/devices.controller.js';
import { FlavorsController } from './flavors/flavors.controller.js';
import { FlavorAccessService } from './flavors/flavor-access.service.js';
import { FlavorsService } from './flavors/flavors.service.js';
import { DeviceClaimsController } from './hosts/device-claims.controller.js';
import { EvacuationController } from './hosts/evacuation.controller.js';
import { HostAdminService } from './hosts/host-admin.service.js';
import { HostTopologyController } from './hosts/host-topology.controller.js';
import { HostsController } from './hosts/hosts.controller.js';
import { IommuGroupsController } from './hosts/iommu-groups.controller.js';
import { SriovController } from './hosts/sriov.controller.js';
import { Authentication } from './identity/authentication.js';
import { RolesGuard } from './identity/roles.guard.js';
import { HttpLimits } from './http-limits.js';
import { KeypairsService } from './keypairs/keypairs.service.js';
import { NativePlacementsController } from './placements/native-placements.controller.js';
import { NativePlacementsService } from './placements/native-placements.service.js';
import { IdentityController } from './openstack/identity.controller.js';
import { COMPUTE_CONTROLLERS } from './openstack/compute/controllers.js';
import { ImagesController } from './openstack/image/images.controller.js';
import { ImagesService } from './openstack/image/images.service.js';
import { ComputeServersService } from './openstack/compute/compute-servers.service.js';
import { PLACEMENT_FACE } from './openstack/placement/placement-face.js';
import { ServerRebuildService } from './openstack/compute/server-rebuild.service.js';
import { MicroversionGuard } from './openstack/microversion.js';
import { PublicUrl } from './openstack/public-url.js';
import { PlacementWishes } from './placements/placement-wishes.js';
import { PlacementsController } from './placements/placements.controller.js';
import { DryRunPolicy, PlacementsService } from './placements/placements.service.js';
import { WhatIfService } from './placements/placements.what-if.service.js';
import { PoolsController } from './pools/pools.controller.js';
import { PreemptionController } from './preemption/preemption.controller.js';
import { ProblemFilter } from './problem.filter.js';
import { QuotasController } from './quotas/quotas.controller.js';
import { QuotasService } from './quotas/quotas.service.js';
import { QueueController } from './queue/queue.controller.js';
import { RequestRules } from './request-rules.js';
import { RequestValidationPipe } from './request-validation.pipe.js';
import { ReservationsController } from './reservations/reservations.controller.js';
import { ReservationsService } from './reservations/reservations.service.js';
import { ServerGroupsController } from './server-groups/server-groups.controller.js';
import { ServerGroupsService } from './server-groups/server-groups.service.js';
import { ExplanationController } from './servers/explanation.controller.js';
import { ExplanationService } from './servers/explanation.service.js';
import { ServerActionsController } from './servers/server-actions.controller.js';
import { ServerActionsService } from './servers/server-actions.service.js';
import { ServerDevicesController } from './servers/server-devices.controller.js';
import { ServerDevicesService } from './servers/server-devices.service.js';
import { ServersController } from './servers/servers.controller.js';
import { ServersService } from './servers/servers.service.js';
import { StrayQueryGuard } from './stray-query.guard.js';

export interface ApiOptions {
  /** What `StoreModule.register` answered; a process with more roles shares it with them. */
  readonly store: DynamicModule;
  /** Further rooms of the process. */
  readonly batches: DynamicModule;
  readonly rooms: readonly DynamicModule[];
  readonly http: HttpSettings;
  readonly authentication: Authentication;
  readonly scheduler: PlacementPolicy;
  readonly pci: Pick<PciSettings, 'exclusiveTags'>;
  readonly health: HealthOptions;
  /** null: this process has no configuration to read again. */
  readonly reload: (() => Promise<ReloadOutcome>) | null;
}

const SERVER_CONTROLLERS = [ServersController, ServerDevicesController, ServerActionsController, ExplanationController];
const SERVER_SERVICES = [ServersService, ServerDevicesService, ServerActionsService, ExplanationService];

/** What speaks as services of OpenStack do. */
const OPENSTACK_CONTROLLERS = [
  IdentityController,
  ...COMPUTE_CONTROLLERS,
  ImagesController,
  ...PLACEMENT_FACE.controllers,
];
const OPENSTACK_SERVICES = [ImagesService, ComputeServersService, ...PLACEMENT_FACE.providers, ServerRebuildService];

/** The REST face. */
@Module({})
export class ApiModule {
  static register(options: ApiOptions): DynamicModule {
    const { bodyBytesMax, pageSizeMax } = options.http;
    return {
      module: ApiModule,
      imports: [options.store, options.batches, HealthModule.register(options.health), ...options.rooms],
      controllers: [
        HostsController,
        EvacuationController,
        HostTopologyController,
        IommuGroupsController,
        SriovController,
        DeviceClaimsController,
        DevicesController,
        DeviceHoldsController,
        DeviceSpecsController,
        PoolsController,
        AliasesController,
        AliasReloadController,
        FlavorsController,
        AggregatesController,
        AvailabilityZonesController,
        ServerGroupsController,
        ...SERVER_CONTROLLERS,
        PlacementsController,
        NativePlacementsController,
        PreemptionController,
        QueueController,
        AuditController,
        QuotasController,
        CapacityController,
        DefragmentationController,
        ReservationsController,
        ...OPENSTACK_CONTROLLERS,
      ],
      providers: [
        AggregatesService,
        AliasesService,
        DeviceSpecsService,
        FlavorsService,
        HostAdminService,
        FlavorAccessService,
        KeypairsService,
        ServerGroupsService,
        ...SERVER_SERVICES,
        PlacementsService,
        NativePlacementsService,
        PlacementWishes,
        WhatIfService,
        CapacityService,
        DefragmentationService,
        QuotasService,
        ReservationsService,
        ...OPENSTACK_SERVICES,
        { provide: AliasFiles, useValue: new AliasFiles(options.reload) },
        { provide: Authentication, useValue: options.authentication },
        { provide: PublicUrl, useValue: new PublicUrl(options.http.publicUrl) },
        { provide: HttpLimits, useValue: new HttpLimits(bodyBytesMax, pageSizeMax) },
        { provide: RequestRules, useValue: new RequestRules(options.scheduler.compat, options.pci.exclusiveTags) },
        { provide: DryRunPolicy, useValue: new DryRunPolicy(options.scheduler) },
        { provide: APP_PIPE, useClass: RequestValidationPipe },
        { provide: APP_GUARD, useClass: RolesGuard },
        { provide: APP_GUARD, useClass: MicroversionGuard },
        { provide: APP_GUARD, useClass: StrayQueryGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}
