import { ApiProperty } from '@nestjs/swagger';
import type { ExcludedHost, PlacementRequest } from '../../placement/request.js';
import { type Change, type SmallestChanges, smallestChanges } from '../../placement/smallest-change.js';
import type { Snapshot } from '../../placement/snapshot.js';
import { inTurns } from '../in-turns.js';
import type { View } from '../placements/decision.view.js';

/** A second or so on ten thousand hosts of which no two are alike. */
const TRIALS_MAX = 50_000;
const CHANGES_MAX = 10;
const PER_KIND_MAX = 3;

export class ChangeStepView {
  @ApiProperty({ type: String, example: 'fewer_devices' }) readonly kind: string;
  @ApiProperty({
    type: String,
    enum: ['request', 'fleet'],
    description: '`request`: who asks can do it; `fleet`: an administrator can.',
  })
  readonly about: 'request' | 'fleet';
  @ApiProperty({ type: String, example: 'ask for 2 instead of 4 of alias gpu' }) readonly sentence: string;
  @ApiProperty({ type: 'object', additionalProperties: true }) readonly details: Readonly<Record<string, unknown>>;
}

export class SmallestChangeView {
  @ApiProperty({ type: [ChangeStepView], description: 'One, or two that are needed together.' })
  readonly steps: readonly ChangeStepView[];
  @ApiProperty({ type: Number, description: 'Orders the changes; the unit means nothing.' }) readonly cost: number;
  @ApiProperty({ type: String, nullable: true, description: 'Where it fits then; null for a project.' })
  readonly host: string | null;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description:
      'How many hosts are like the one that is changed; null for a project, and where only the request changes.',
  })
  readonly equal_hosts: number | null;
}

export class SmallestChangesView {
  @ApiProperty({ type: String, format: 'date-time', description: 'As hosts were then, not when it was decided.' })
  readonly computed_at: Date;
  @ApiProperty({ type: Boolean, description: 'It fits as it is by now.' }) readonly fits_now: boolean;
  @ApiProperty({ type: String, nullable: true, description: 'Where; null for a project.' })
  readonly fits_on: string | null;
  @ApiProperty({
    type: [SmallestChangeView],
    description: 'Each was tried and does; cheapest first. Single steps, or pairs when no single step does.',
  })
  readonly changes: readonly SmallestChangeView[];
  @ApiProperty({ type: 'integer', description: 'How many hosts were tried.' }) readonly trials: number;
  @ApiProperty({
    type: Boolean,
    description: 'false: the trials were used up, there may be a smaller or cheaper change.',
  })
  readonly complete: boolean;
}

/** What would make the request fit on these hosts. A project hears what it can do itself. */
export async function changesFor(
  { hosts, policy }: Snapshot,
  request: PlacementRequest,
  excluded: readonly ExcludedHost[],
  view: View,
): Promise<SmallestChangesView> {
  const about = view === 'admin' ? ('all' as const) : ('request' as const);
  const limits = { trialsMax: TRIALS_MAX, changesMax: CHANGES_MAX, perKindMax: PER_KIND_MAX, about };
  const computedAt = new Date();
  // the list may change between two turns
  const found = await inTurns(smallestChanges({ hosts: [...hosts], policy }, request, excluded, limits));
  return changesView(found, computedAt, view);
}

function changesView(found: SmallestChanges, computedAt: Date, view: View): SmallestChangesView {
  const isAdmin = view === 'admin';
  return {
    computed_at: computedAt,
    fits_now: found.fitsOn !== null,
    fits_on: isAdmin ? found.fitsOn : null,
    changes: found.changes.map((change) => changeView(change, isAdmin)),
    trials: found.trials,
    complete: found.complete,
  };
}

function changeView({ steps, cost, fitsOn, equalHosts }: Change, isAdmin: boolean): SmallestChangeView {
  const isOfFleet = steps.some(({ about }) => about === 'fleet');
  return {
    steps: steps.map(({ kind, about, sentence, details }) => ({ kind, about, sentence, details })),
    cost,
    host: isAdmin ? fitsOn : null,
    equal_hosts: isAdmin && isOfFleet ? equalHosts : null,
  };
}
