import { ApiProperty } from '@nestjs/swagger';
import type { ErrorCode } from '../errors.js';

export class FieldProblemView {
  @ApiProperty({ type: String, example: 'specs[0].vendor_id' }) readonly field: string;
  @ApiProperty({ type: String }) readonly problem: string;
}

/** RFC 9457, with our `code`. */
export class Problem {
  @ApiProperty({ type: String, example: 'urn:berth:problem:alias.unknown' }) readonly type: string;
  @ApiProperty({ type: String, example: 'No alias has this name.' }) readonly title: string;
  @ApiProperty({ type: 'integer', example: 400 }) readonly status: number;
  @ApiProperty({ type: String, description: 'What is wrong here, and how to mend it.' }) readonly detail: string;
  @ApiProperty({ type: String, example: 'alias.unknown' }) readonly code: ErrorCode;
  @ApiProperty({ type: [FieldProblemView], required: false }) readonly errors?: readonly FieldProblemView[];
}

/** HTTP numbers of codes. A code that is not here is a request's fault, 400. */
const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  'request.too_large': 413,
  'request.too_many': 429,
  'request.not_found': 404,
  'request.method_not_allowed': 405,
  'request.not_implemented': 501,
  'microversion.unsupported': 406,
  'idempotency.key_reused': 422,
  'alias.unknown': 404,
  'alias.exists': 409,
  'alias.read_only': 409,
  'alias.in_use': 409,
  'alias.stale': 412,
  'alias.version_unknown': 404,
  'flavor.unknown': 404,
  'flavor.exists': 409,
  'image.unknown': 404,
  'image.exists': 409,
  'image.ambiguous': 409,
  'image.protected': 403,
  'image.read_only': 403,
  'image.no_property': 409,
  'image.no_data': 409,
  'flavor.access': 409,
  'keypair.unknown': 404,
  'keypair.exists': 409,
  'keypair.too_many': 403,
  'server.unknown': 404,
  'server.invalid_status': 409,
  'server.locked': 409,
  'server.not_supported': 501,
  'server.device_unknown': 404,
  'device.wanted': 409,
  'server_group.unknown': 404,
  'reservation.unknown': 404,
  'reservation.no_devices': 409,
  'reservation.conflict': 409,
  'reservation.invalid_status': 409,
  'aggregate.unknown': 404,
  'aggregate.exists': 409,
  'aggregate.zone_conflict': 409,
  'aggregate.host_exists': 409,
  'aggregate.in_use': 409,
  'host.unknown': 404,
  'host.in_use': 409,
  'device.unknown': 404,
  'device.invalid_status': 409,
  'device.invalid_owner': 409,
  'device.relative_in_use': 409,
  'sriov.in_use': 409,
  'sriov.unknown': 404,
  'device_claim.refused': 409,
  'device_claim.companions': 409,
  'device_claim.unknown': 404,
  'claim.conflict': 409,
  'placement.unknown': 404,
  'placement.too_many_waiting': 503,
  'quota.exceeded': 403,
  'auth.required': 401,
  'auth.forbidden': 403,
  'auth.busy': 429,
  'auth.unavailable': 503,
  'provider.unknown': 404,
  'provider.conflict': 409,
  'provider.read_only': 403,
  'inventory.unknown': 404,
  'inventory.exceeded': 409,
  'consumer.unknown': 404,
  'consumer.conflict': 409,
  'consumer.read_only': 409,
  'resource_class.unknown': 404,
  'resource_class.exists': 409,
  'resource_class.in_use': 409,
  'trait.unknown': 404,
  'trait.in_use': 409,
  'configuration.not_taken': 409,
  'database.unavailable': 503,
  'database.not_migrated': 503,
  'bus.unavailable': 503,
  'audit.damaged': 500,
  'settings.invalid': 500,
  'internal.error': 500,
};

/**
 * The HTTP number of a code.
 *
 * @param inField whether a field of the request names what is unknown: then the request is at fault, not the path
 */
export function statusOf(code: ErrorCode, inField: boolean): number {
  const status = STATUS_OF[code] ?? 400;
  return inField && status === 404 ? 400 : status;
}
