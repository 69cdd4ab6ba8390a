import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsOptional } from 'class-validator';
import type { WireSriovState } from '../../messages/sriov-bodies.js';
import { VFS_MAX } from '../../pci/sriov/sriov-target.js';
import { SRIOV_STATES, type SriovState } from '../../store/entities/sriov.entities.js';
import type { PfRow } from '../../store/sriov-wishes.store.js';
import { CountField, FlagField } from '../fields.js';

const VFS_EXAMPLE = { '*': { trust: false, spoof_check: true }, '0-3': { vlan: 7 }, '0': { mac: '02:00:00:00:00:01' } };

const VFS_SCHEMA = { type: 'object', additionalProperties: { type: 'object' } } as const;

function VfsField(): PropertyDecorator {
  const description =
    'By number, numbers or * for all: mac, vlan, qos, spoof_check, trust, link_state (auto, enable, disable), min_tx_rate and ' +
    'max_tx_rate in Mbit/s. What is said of fewer VFs counts. Only of NICs.';
  return applyDecorators(
    ApiProperty({ ...VFS_SCHEMA, required: false, description, example: VFS_EXAMPLE } as never),
    IsOptional(),
    IsObject({ message: 'has to be an object like {"0": {"vlan": 7}}' }),
  );
}

export class SriovBody {
  @CountField({ min: 0, max: VFS_MAX, description: 'All VFs go and come when it changes.' }) vf_count: number;
  @FlagField({ optional: true, description: "Whether the host's drivers take new VFs; left out: as it is." })
  autoprobe?: boolean;
  @VfsField() vfs?: Record<string, unknown>;
}

export class VfProblemView {
  @ApiProperty({ type: 'integer' }) readonly vf: number;
  @ApiProperty({ type: String, nullable: true }) readonly address: string | null;
  @ApiProperty({ type: String }) readonly step: string;
  @ApiProperty({ type: String }) readonly message: string;
}

export class SriovWantedView {
  @ApiProperty({
    type: String,
    enum: ['ledger', 'file'],
    description: 'Who says it. What was said here counts before what a file says.',
  })
  readonly source: 'ledger' | 'file';
  @ApiProperty({ type: String, nullable: true, description: 'Where a file of the host says it.' })
  readonly where: string | null;
  @ApiProperty({ type: 'integer' }) readonly vf_count: number;
  @ApiProperty({ type: Boolean, nullable: true, description: 'null: as it is, or a file says it.' })
  readonly autoprobe: boolean | null;
  @ApiProperty({ ...VFS_SCHEMA, nullable: true })
  readonly vfs: Record<string, unknown> | null;
  @ApiProperty({ type: String, enum: [...SRIOV_STATES] }) readonly state: SriovState;
  @ApiProperty({ type: String, nullable: true, description: 'What did not succeed.' }) readonly step: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly errno: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'What is in the way, and what to do about it.' })
  readonly message: string | null;
  @ApiProperty({ type: [VfProblemView], description: 'The first VFs that are not as they shall be.' })
  readonly vf_problems: readonly VfProblemView[];
  @ApiProperty({ type: String, format: 'date-time', nullable: true }) readonly asked_at: string | null;
}

export class SriovView {
  @ApiProperty({ type: String }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String, nullable: true }) readonly driver: string | null;
  @ApiProperty({ type: [String] }) readonly netdevs: readonly string[];
  @ApiProperty({ type: 'integer', description: 'That it has, by the last report.' }) readonly num_vfs: number;
  @ApiProperty({ type: 'integer', description: 'That it can have.' }) readonly total_vfs: number;
  @ApiProperty({ type: SriovWantedView, nullable: true, description: 'null: nobody says what shall be.' })
  readonly wanted: SriovWantedView | null;
}

export class SriovListView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: [SriovView] }) readonly pfs: readonly SriovView[];
}

/** @param told by the host's agent */
export function sriovView({ address, facts, wish }: PfRow, told: readonly WireSriovState[]): SriovView {
  const declared = told.find((state) => state.address === address && state.source === 'file');
  return {
    address,
    vendor_id: facts.vendor_id,
    product_id: facts.product_id,
    driver: facts.driver,
    netdevs: facts.netdevs,
    num_vfs: facts.sriov?.num_vfs ?? 0,
    total_vfs: facts.sriov?.total_vfs ?? 0,
    wanted: wish ? wishView(wish) : declared ? declaredView(declared) : null,
  };
}

function wishView(wish: NonNullable<PfRow['wish']>): SriovWantedView {
  const { vf_count, autoprobe, vfs, state, step, errno, message, vf_problems, asked_at } = wish;
  const saying = { source: 'ledger', where: null, vf_count, autoprobe, vfs } as const;
  return { ...saying, state, step, errno, message, vf_problems, asked_at: new Date(asked_at).toISOString() };
}

function declaredView({ where, vf_count, state, step, errno, message, vfs }: WireSriovState): SriovWantedView {
  const saying = { source: 'file', where: where ?? null, vf_count, autoprobe: null, vfs: null } as const;
  return { ...saying, state, step, errno, message, vf_problems: vfs, asked_at: null };
}
