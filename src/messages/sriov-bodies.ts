import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { ADDRESS, HEX4, Nullable } from './wire-fields.js';

/** PFs of one host that something is said of, and VFs of one PF of which something is told. */
export const SRIOV_PFS_MAX = 1024;
export const SRIOV_VFS_TOLD_MAX = 256;
export const SRIOV_MESSAGE_MAX = 500;

/** What an administrator wants of a PF's VFs, as the ledger keeps it. */
export class WireSriovWish {
  @Matches(ADDRESS) address: string;
  /** Of the host's wishes when this one was made: a later one has a higher one. */
  @IsInt() @Min(1) revision: number;
  /** The agent refuses when another card sits there now. */
  @Matches(HEX4) vendor_id: string;
  @Matches(HEX4) product_id: string;
  @IsInt() @Min(0) @Max(65_535) vf_count: number;
  @IsOptional() @IsBoolean() autoprobe?: boolean | null;
  /** By VF; read as the configuration's is (`pci/sriov`). */
  @IsOptional() @IsObject() vfs?: Record<string, unknown> | null;
}

/** All wishes for a host: what is not in it is no longer wished. Idempotent; an older revision is passed over. */
export class SetSriov {
  @IsInt() @Min(1) revision: number;
  @IsArray()
  @ArrayMaxSize(SRIOV_PFS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireSriovWish)
  wishes: WireSriovWish[];
}

/** A VF that is not as it shall be. */
export class WireVfProblem {
  @IsInt() @Min(0) @Max(65_535) vf: number;
  @Nullable() @Matches(ADDRESS) address: string | null;
  /** `mac`, `vlan`, `spoof_check`, `trust`, `link_state`, `rate`; `check` or `read_back`. */
  @IsString() @MaxLength(32) step: string;
  @IsString() @MaxLength(SRIOV_MESSAGE_MAX) message: string;
}

/** How it stands with the VFs of a PF that something is said of. */
export class WireSriovState {
  @Matches(ADDRESS) address: string;
  /** Whose word holds: the ledger's before that of the host's files. */
  @IsIn(['file', 'ledger']) source: 'file' | 'ledger';
  /** The wish's. */
  @IsOptional() @IsInt() @Min(1) revision?: number;
  /** Where a file says it. */
  @IsOptional() @IsString() @MaxLength(SRIOV_MESSAGE_MAX) where?: string;
  @IsInt() @Min(0) @Max(65_535) vf_count: number;
  @IsIn(['applied', 'refused']) state: 'applied' | 'refused';
  @Nullable() @IsString() @MaxLength(32) step: string | null;
  @Nullable() @IsString() @MaxLength(32) errno: string | null;
  /** What is wrong, and what to do about it. */
  @Nullable() @IsString() @MaxLength(SRIOV_MESSAGE_MAX) message: string | null;
  /** The first that are not as they shall be. */
  @IsArray()
  @ArrayMaxSize(SRIOV_VFS_TOLD_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireVfProblem)
  vfs: WireVfProblem[];
}
