import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsIn, IsOptional } from 'class-validator';
import { PER_HOST_MAX, POLICIES } from '../../server-groups/server-groups.dto.js';
import { IntegerField, NameField, NestedField } from '../fields.js';

type Policy = (typeof POLICIES)[number];

const IS_ONE_OF = { message: `has to be one of ${POLICIES.join(', ')}` };

class ServerGroupRules {
  @IntegerField({ min: 1, max: PER_HOST_MAX, optional: true }) max_server_per_host?: number;
}

/** Up to 2.63 with `policies`, from 2.64 on with `policy` and `rules`. */
class ServerGroupFields {
  @NameField() name: string;

  @ApiProperty({ type: [String], required: false, minItems: 1, maxItems: 1 })
  @IsOptional()
  @IsArray({ message: 'has to be a list of one policy' })
  @ArrayMinSize(1, { message: 'has to be a list of one policy' })
  @ArrayMaxSize(1, { message: 'has to be a list of one policy' })
  @IsIn(POLICIES, { each: true, ...IS_ONE_OF })
  policies?: Policy[];

  @ApiProperty({ type: String, required: false, enum: [...POLICIES] })
  @IsOptional()
  @IsIn(POLICIES, IS_ONE_OF)
  policy?: Policy;

  @NestedField(() => ServerGroupRules, { optional: true }) rules?: ServerGroupRules;
}

export class ComputeServerGroupBody {
  @NestedField(() => ServerGroupFields) server_group: ServerGroupFields;
}
