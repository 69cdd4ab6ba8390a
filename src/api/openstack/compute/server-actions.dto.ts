import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsInt, IsOptional, IsString, Matches, MaxLength, Min } from 'class-validator';
import { BooleanField, NameField, WordyField } from '../fields.js';

/** The values of the actions on a server, each the only key of its body. */

const REBOOT_TYPES = ['SOFT', 'HARD', 'Soft', 'Hard', 'soft', 'hard'];

export class RebootAction {
  @ApiProperty({ type: String, enum: ['SOFT', 'HARD'] })
  @IsIn(REBOOT_TYPES, { message: 'has to be SOFT or HARD' })
  type: string;
}

export class ResetStateAction {
  @ApiProperty({ type: String, enum: ['active', 'error'] })
  @IsIn(['active', 'error'], { message: 'has to be active or error' })
  state: 'active' | 'error';
}

export class LockAction {
  @IsOptional()
  @IsString({ message: 'has to be a text' })
  @MaxLength(255, { message: 'has more than 255 characters' })
  @Matches(/^[^\p{Cc}\p{Cs}]+$/u, { message: 'is empty, or has a control character in it' })
  locked_reason?: string;
}

export class UnshelveAction {
  /** null: the server is tied to none any more. */
  @WordyField() availability_zone?: string | null;
  @NameField({ optional: true }) host?: string;
}

export class EvacuateAction {
  @NameField({ optional: true }) host?: string;
  @BooleanField({ optional: true }) onSharedStorage?: boolean;
  @WordyField() adminPass?: string;
  @BooleanField({ optional: true }) force?: boolean;
}

export class MigrateAction {
  @WordyField() host?: string | null;
}

export class LiveMigrateAction {
  @WordyField() host?: string | null;
  @ApiProperty({ type: Boolean, description: 'From 2.25 on "auto", too.' })
  @IsOptional()
  @IsIn([true, false, 'True', 'False', 'true', 'false', 'auto'], { message: 'has to be true or false' })
  block_migration?: boolean | string;
  @BooleanField({ optional: true }) disk_over_commit?: boolean;
  @BooleanField({ optional: true }) force?: boolean;
}

export class ResizeAction {
  @NameField() flavorRef: string;
  @IsOptional() @IsIn(['AUTO', 'MANUAL'], { message: 'has to be AUTO or MANUAL' }) 'OS-DCF:diskConfig'?: string;
}

export class ChangePasswordAction {
  @ApiProperty({ type: String })
  @IsString({ message: 'has to be a text' })
  @MaxLength(255, { message: 'has more than 255 characters' })
  adminPass: string;
}

export class ConsoleOutputAction {
  @IsOptional()
  @IsInt({ message: 'has to be a whole number' })
  @Min(-1, { message: 'has to be -1 or more' })
  length?: number | null;
}

export class CreateImageAction {
  @NameField() name: string;
  @IsOptional() metadata?: Readonly<Record<string, string>>;
}

export class RescueAction {
  @WordyField() adminPass?: string;
  @WordyField() rescue_image_ref?: string;
}

export class SecurityGroupAction {
  @NameField() name: string;
}
