import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { BooleanField, NameField } from '../fields.js';

const STATUSES = ['enabled', 'disabled'] as const;

/** What is to be of a service. Up to 2.52 it names the service, too; from 2.53 on the path does. */
export class ServiceChangeBody {
  @NameField({ optional: true }) host?: string;
  @NameField({ optional: true }) binary?: string;
  @ApiProperty({ type: String, enum: [...STATUSES], required: false })
  @IsOptional()
  @IsIn(STATUSES, { message: 'has to be enabled or disabled' })
  status?: (typeof STATUSES)[number];
  @NameField({ optional: true }) disabled_reason?: string;
  @BooleanField({ optional: true }) forced_down?: boolean;
}
