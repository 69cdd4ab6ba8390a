import { ApiProperty } from '@nestjs/swagger';
import { TextParameter } from '../fields.js';
import { PageQuery } from '../page.js';
import { HostCountView } from '../placements/placements.dto.js';

export class AliasesQuery extends PageQuery {
  @TextParameter({ description: 'Of this alias only.' }) alias?: string;
}

/** Every device of the alias is in one of the five counts, which make `there`. */
export class AliasCapacityView {
  @ApiProperty({ type: String }) readonly alias: string;
  @ApiProperty({ type: 'integer' }) readonly there: number;
  @ApiProperty({ type: 'integer', description: "Nobody's; whether they can be had is what `fits` says." })
  readonly free: number;
  @ApiProperty({ type: 'integer' }) readonly in_use: number;
  @ApiProperty({ type: 'integer', description: 'Reserved, in quarantine, failed, or being cleaned.' })
  readonly held: number;
  @ApiProperty({ type: 'integer', description: 'Their PF, or a VF of them, is in use or held.' })
  readonly blocked: number;
  @ApiProperty({ type: 'integer', description: 'Not reported any more.' }) readonly missing: number;
  @ApiProperty({ type: 'integer', description: 'Servers with one such device, and of no size, that would fit now.' })
  readonly fits: number;
  @ApiProperty({ type: HostCountView, nullable: true, description: 'The most that one server can get, at most 256.' })
  readonly largest: HostCountView | null;
}

export class CapacityView {
  @ApiProperty({ type: [AliasCapacityView], description: 'In name order.' })
  readonly aliases: readonly AliasCapacityView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

/** Devices of one kind that nobody can have, for one cause. */
export class StrandedCauseView {
  @ApiProperty({ type: String, example: 'vcpus.not_enough' }) readonly code: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String }) readonly device_type: string;
  @ApiProperty({ type: 'integer' }) readonly count: number;
  @ApiProperty({ type: 'integer' }) readonly host_count: number;
  @ApiProperty({ type: [String], description: 'At most 20, in name order.' }) readonly hosts: readonly string[];
  @ApiProperty({ type: String, description: 'The cause as it is told of the first of them.' }) readonly example: string;
}

export class HostFragmentationView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: 'integer' }) readonly free: number;
  @ApiProperty({ type: Number, description: 'Expected free devices that the next server of the mix cannot use.' })
  readonly unusable: number;
}

export class ShapeView {
  @ApiProperty({ type: String, example: 'gpu:2, 8 vCPUs, 16384 MB, 40 GB' }) readonly asks_for: string;
  @ApiProperty({ type: 'integer', description: 'Live servers like this; of a flavor that has none, 0.' })
  readonly servers: number;
}

export class AliasFragmentationView {
  @ApiProperty({ type: String }) readonly alias: string;
  @ApiProperty({ type: 'integer', description: 'Devices that no server has: free, held, or blocked by a relative.' })
  readonly idle: number;
  @ApiProperty({ type: 'integer' }) readonly free: number;
  @ApiProperty({
    type: 'integer',
    description: 'Idle devices that no server of the mix, and of no flavor, could have now.',
  })
  readonly stranded: number;
  @ApiProperty({ type: [StrandedCauseView], description: 'Most devices first.' })
  readonly causes: readonly StrandedCauseView[];
  @ApiProperty({
    type: Number,
    description: 'What share of the free devices the next server of the mix cannot use, on average: 0 to 1.',
  })
  readonly fragmentation: number;
  @ApiProperty({ type: [HostFragmentationView], description: 'At most 20.' })
  readonly worst_hosts: readonly HostFragmentationView[];
  @ApiProperty({
    type: [ShapeView],
    description: 'What live servers and flavors ask for, the smallest first. Without live servers flavors count alike.',
  })
  readonly mix: readonly ShapeView[];
}

export class FragmentationView {
  @ApiProperty({ type: [AliasFragmentationView], description: 'In name order.' })
  readonly aliases: readonly AliasFragmentationView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}
