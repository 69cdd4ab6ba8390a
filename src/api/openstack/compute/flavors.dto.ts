import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsObject, IsOptional, IsString, Matches, MaxLength, ValidateBy } from 'class-validator';
import { DISK_GB_MAX, NAME_LENGTH_MAX, RAM_MB_MAX, VCPUS_MAX } from '../../fields.js';
import { DESCRIPTION_MAX, FLAVOR_ID } from '../../flavors/flavors.dto.js';
import { BooleanField, IntegerField, NameField, NestedField, WordyField } from '../fields.js';

/** Nova's: the largest number of single precision. */
const FACTOR_MAX = 3.40282e38;

/** A text or a number; `auto`, null and nothing stand for a new UUID. */
function FlavorIdField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: String, required: false as never, nullable: true, maxLength: NAME_LENGTH_MAX }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) => (typeof value === 'number' ? String(value) : value)),
    IsString({ message: 'has to be a text' }),
    MaxLength(NAME_LENGTH_MAX, { message: `has more than ${NAME_LENGTH_MAX} characters` }),
    Matches(FLAVOR_ID, { message: 'has other characters than letters, digits, _ - . and blanks within' }),
  );
}

/** A number above 0, as such or as a text. */
function FactorField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: Number, required: false as never }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,39}(?:\.\d{1,39})?$/.test(value) ? Number(value) : value,
    ),
    ValidateBy({
      name: 'factor',
      validator: {
        validate: (value) => typeof value === 'number' && value > 0 && value <= FACTOR_MAX,
        defaultMessage: () => 'has to be a number above 0',
      },
    }),
  );
}

class NewFlavor {
  @NameField() name: string;
  @FlavorIdField() id?: string | null;
  @IntegerField({ min: 1, max: RAM_MB_MAX }) ram: number;
  @IntegerField({ min: 1, max: VCPUS_MAX }) vcpus: number;
  @IntegerField({ min: 0, max: DISK_GB_MAX }) disk: number;
  @IntegerField({ min: 0, max: DISK_GB_MAX, optional: true }) 'OS-FLV-EXT-DATA:ephemeral'?: number;
  @IntegerField({ min: 0, max: RAM_MB_MAX, optional: true }) swap?: number;
  @FactorField() rxtx_factor?: number;
  @BooleanField({ optional: true }) 'os-flavor-access:is_public'?: boolean;
  @WordyField(DESCRIPTION_MAX) description?: string | null;
}

export class ComputeFlavorBody {
  @NestedField(() => NewFlavor) flavor: NewFlavor;
}

class FlavorChange {
  @WordyField(DESCRIPTION_MAX) description?: string | null;
}

export class ComputeFlavorChangeBody {
  @NestedField(() => FlavorChange) flavor: FlavorChange;
}

export class ComputeExtraSpecsBody {
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  @IsObject({ message: 'has to be an object of texts' })
  extra_specs: Record<string, unknown>;
}

class FlavorAccess {
  @NameField() tenant: string;
}

/** One of the two. */
export class ComputeFlavorActionBody {
  @NestedField(() => FlavorAccess, { optional: true }) addTenantAccess?: FlavorAccess;
  @NestedField(() => FlavorAccess, { optional: true }) removeTenantAccess?: FlavorAccess;
}
