import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { KEYPAIR_TYPES, type KeypairType } from '../../../store/entities/keypair.entities.js';
import { NameField, NestedField } from '../fields.js';

const PUBLIC_KEY_MAX = 16_384;

/** A key has lines when it is a certificate, and often a line's end when it comes out of a file. */
function PublicKeyField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: String, required: false as never, maxLength: PUBLIC_KEY_MAX }),
    IsOptional(),
    IsString({ message: 'has to be a text' }),
    MaxLength(PUBLIC_KEY_MAX, { message: `has more than ${PUBLIC_KEY_MAX} characters` }),
    Matches(/^[\t\n\r\x20-\x7e\u{a0}-\u{d7ff}\u{e000}-\u{10ffff}]*$/u, { message: 'has a control character in it' }),
  );
}

class NewKeypair {
  @NameField() name: string;
  @PublicKeyField() public_key?: string | null;
  @ApiProperty({ type: String, enum: KEYPAIR_TYPES, required: false })
  @IsOptional()
  @IsIn(KEYPAIR_TYPES, { message: 'has to be ssh or x509' })
  type?: KeypairType;
  @NameField({ optional: true }) user_id?: string;
}

export class ComputeKeypairBody {
  @NestedField(() => NewKeypair) keypair: NewKeypair;
}
