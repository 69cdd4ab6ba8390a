import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { ArrayUnique, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { IdField, ListField, NAME_LENGTH_MAX, PLAIN_TEXT, TextMapField } from '../../fields.js';
import { NameField, NestedField } from '../fields.js';

const IMAGES_MAX = 1000;

/** A zone's name, or null for none. A colon divides it from a host where servers ask for both. */
function ZoneField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: String, required: false, nullable: true, minLength: 1, maxLength: NAME_LENGTH_MAX }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value)),
    IsString({ message: 'has to be a text, or null' }),
    MaxLength(NAME_LENGTH_MAX, { message: `has more than ${NAME_LENGTH_MAX} characters` }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it; remove it' }),
    Matches(/^[^:]+$/, { message: 'is empty, or has a colon in it' }),
  );
}

class AggregateFields {
  @NameField() name: string;
  @ZoneField() availability_zone?: string | null;
}

export class ComputeAggregateBody {
  @NestedField(() => AggregateFields) aggregate: AggregateFields;
}

class AggregateChanges {
  @NameField({ optional: true }) name?: string;
  @ZoneField() availability_zone?: string | null;
}

export class ComputeAggregateChangeBody {
  @NestedField(() => AggregateChanges) aggregate: AggregateChanges;
}

class AggregateHostName {
  @NameField() host: string;
}

class AggregateMetadata {
  @TextMapField({ removable: true, description: 'Keys to set; null removes one. Others stay.' })
  metadata: Record<string, string | null>;
}

/** One of the three. */
export class AggregateActionBody {
  @NestedField(() => AggregateHostName, { optional: true }) add_host?: AggregateHostName;
  @NestedField(() => AggregateHostName, { optional: true }) remove_host?: AggregateHostName;
  @NestedField(() => AggregateMetadata, { optional: true }) set_metadata?: AggregateMetadata;
}

class CachedImageId {
  @IdField() id: string;
}

export class AggregateImagesBody {
  @ListField({ of: () => CachedImageId, min: 1, max: IMAGES_MAX })
  @ArrayUnique(({ id }: CachedImageId) => id, { message: 'names an image twice' })
  cache: CachedImageId[];
}
