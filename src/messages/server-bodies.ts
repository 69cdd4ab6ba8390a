import 'reflect-metadata';
import {
  ArrayMaxSize,
  IsArray,
  IsIn,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { HOST_NAME } from './routes.js';
import { Nullable } from './wire-fields.js';

/** Characters of what an agent says of a guest. */
export const GUEST_MESSAGE_MAX = 1000;

/** What whoever starts a server's guest has to know of it. Only agents that start guests are told. */
export class WireServer {
  @IsString() @MaxLength(255) name: string;
  @IsString() @MaxLength(255) project_id: string;
  @IsInt() @Min(0) @Max(65_536) vcpus: number;
  /** MiB. */
  @IsInt() @Min(0) memory_mb: number;
  /** The server's image property `berth_image`; left out: it names none. */
  @IsOptional() @IsString() @MaxLength(255) image?: string;
  /** NUMA nodes of the host that it was placed on; left out: any. */
  @IsOptional() @IsArray() @ArrayMaxSize(256) @IsInt({ each: true }) @Min(0, { each: true }) numa_cells?: number[];
}

/** A guest that an agent had started has ended by itself, and its server has not. */
export class GuestEnded {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() server_id: string;
  @IsIn(['ended']) state: 'ended';
  @IsString() @MaxLength(GUEST_MESSAGE_MAX) message: string;
  /** When the agent saw it. */
  @IsISO8601({ strict: true }) @MaxLength(40) since: string;
}

/** What is done with a guest that is there; `suspend` keeps it in memory, as devices have nothing that could be written to disk. */
export const GUEST_ACTS = [
  'stop',
  'start',
  'reboot',
  'reboot_hard',
  'pause',
  'unpause',
  'suspend',
  'resume',
  'rebuild',
] as const;
export type GuestAct = (typeof GUEST_ACTS)[number];

/** Do this with the server's guest. Idempotent: an order that was carried out is answered again. */
export class ActOnGuest {
  @IsUUID() server_id: string;
  /** A later order has a higher number. */
  @IsInt() @Min(1) order: number;
  @IsIn(GUEST_ACTS) act: GuestAct;
  /** Of `rebuild`: the image to start from; left out: the one that it has. */
  @IsOptional() @IsString() @MaxLength(255) image?: string;
}

/** What came of an order. An agent that runs no guests says that it is done. */
export class GuestActed {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() server_id: string;
  @IsInt() @Min(1) order: number;
  /** null: it is done. */
  @Nullable() @IsString() @MaxLength(GUEST_MESSAGE_MAX) problem: string | null;
}
