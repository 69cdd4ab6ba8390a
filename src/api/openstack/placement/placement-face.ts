import { AllocationWrites } from './allocation-writes.js';
import { AllocationsController } from './allocations.controller.js';
import { CandidatesController } from './candidates.controller.js';
import { KnownNames } from './known-names.js';
import { NamesController } from './names.controller.js';
import { ProviderListing } from './provider-listing.js';
import { ProviderTraits } from './provider-traits.js';
import { ProviderReader } from './providers.js';
import { ProvidersController } from './providers.controller.js';
import { PlacementRootController } from './root.controller.js';
import { UsagesController } from './usages.controller.js';

/** What Placement's API is made of: hosts, devices and claims in its words. */
export const PLACEMENT_FACE = {
  controllers: [
    PlacementRootController,
    ProvidersController,
    NamesController,
    UsagesController,
    AllocationsController,
    CandidatesController,
  ],
  providers: [ProviderReader, ProviderListing, ProviderTraits, KnownNames, AllocationWrites],
};
