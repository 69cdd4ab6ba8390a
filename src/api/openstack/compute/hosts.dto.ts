import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsIn, IsOptional } from 'class-validator';

const SWITCH = ['enable', 'disable'] as const;

function SwitchField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: String, enum: [...SWITCH], required: false }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value)),
    IsIn(SWITCH, { message: 'has to be enable or disable' }),
  );
}

export class ComputeHostChangeBody {
  @SwitchField() status?: (typeof SWITCH)[number];
  @SwitchField() maintenance_mode?: (typeof SWITCH)[number];
}
