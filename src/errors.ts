/**
 * Every error code of Berth, once. A code is `noun.reason`, is never changed and never reused; HTTP numbers
 * live in `api/problem.filter.ts`, ack and nack in `bus`.
 *
 * Expected answers ("this host cannot serve") are returned values, not errors. What is thrown is a fault of the
 * caller or of the world.
 */
export const ERROR_CODES = {
  // the caller's input
  'request.invalid': 'The request is not well formed.',
  'request.too_large': 'The request is larger than the limit.',
  'request.too_many': 'More was asked in a short time than is allowed.',
  'request.not_found': 'There is no such path.',
  'request.method_not_allowed': 'The path exists, but not with this method.',
  'request.not_implemented': 'Nothing here can do that.',
  'microversion.invalid': 'The version of an OpenStack face is not well formed.',
  'microversion.unsupported': 'This version of an OpenStack face is not served.',
  'idempotency.key_reused': 'The idempotency key was used before with another request.',
  'address.invalid': 'The text is not a PCI address.',
  'device_spec.invalid': 'A device_spec (whitelist) entry is not valid.',
  'sriov.invalid': 'What is said of VFs is not valid.',
  'sriov.in_use': 'The PF or a VF is in use, so the number of VFs cannot change.',
  'sriov.unknown': 'Nothing was said of the VFs of this PF.',
  'device_claim.refused': 'The device cannot be claimed.',
  'device_claim.companions': 'The claim would take other devices than those that were named.',
  'device_claim.unknown': 'There is no such device claim.',
  'alias.invalid': 'An alias is not valid.',
  'alias.unknown': 'No alias has this name.',
  'alias.exists': 'An alias of this name exists already.',
  'alias.read_only': 'The alias belongs to a configuration file and cannot be changed here.',
  'alias.in_use': 'A flavor names the alias.',
  'alias.stale': 'The alias is not at the version that If-Match names.',
  'alias.version_unknown': 'The alias never had this version, or it is no longer kept.',
  'flavor.invalid': 'The flavor is not valid.',
  'flavor.unknown': 'No flavor has this name or id.',
  'flavor.exists': 'A flavor of this name exists already.',
  'image.unknown': 'No image has this id.',
  'image.exists': 'An image of this id exists already.',
  'image.ambiguous': 'Several images have this name.',
  'image.protected': 'The image is protected.',
  'image.read_only': 'The field of an image cannot be changed.',
  'image.no_property': 'The image has no such property.',
  'image.no_data': 'Berth keeps no data of images.',
  'flavor.access': 'The project has access to the flavor anyway.',
  'keypair.unknown': 'No keypair of the user has this name.',
  'keypair.exists': 'A keypair of this name exists already.',
  'keypair.invalid': 'The public key is not one.',
  'keypair.too_many': 'The user has as many keypairs as a user may have.',
  'server.unknown': 'No server has this id.',
  'server.invalid': 'The server request is not valid.',
  'server.invalid_status': 'The server is not in a status that allows this.',
  'server.locked': 'The server is locked.',
  'server.not_supported': 'Berth does not do this with servers.',
  'server.device_unknown': 'The server has no such device.',
  'device.wanted': 'Another device that was asked for would go along.',
  'server_group.unknown': 'No server group has this id.',
  'reservation.unknown': 'No reservation has this id.',
  'reservation.no_devices': 'There are too few devices for the reservation at that time.',
  'reservation.conflict': 'Another reservation keeps one of the devices at that time.',
  'reservation.invalid_status': 'The reservation is not in a status that allows this.',
  'aggregate.unknown': 'No aggregate has this name or id.',
  'aggregate.exists': 'An aggregate of this name exists already.',
  'aggregate.zone_conflict': 'A host would be in two availability zones.',
  'aggregate.host_exists': 'The host is in the aggregate already.',
  'aggregate.in_use': 'The aggregate has hosts.',
  'host.unknown': 'No host has this name or id.',
  'host.in_use': 'The host cannot be removed as it is.',
  'device.unknown': 'No device has this id.',
  'numa_policy.invalid': 'The NUMA affinity policy is not one of the four.',
  'numa_policy.conflict': 'Flavor and image name different NUMA affinity policies.',
  'topology.invalid': 'A topology constraint of devices is not valid.',
  // the placement face
  'provider.unknown': 'No resource provider has this id.',
  'provider.conflict': 'The resource provider has another generation.',
  'provider.read_only': 'The resource provider is what an agent has found, and cannot be changed here.',
  'inventory.unknown': 'The resource provider has no inventory of this class.',
  'inventory.exceeded': 'The resource provider has not so much left.',
  'consumer.unknown': 'The consumer has nothing.',
  'consumer.conflict': 'The consumer has another generation.',
  'consumer.read_only': 'What the consumer has is looked after elsewhere.',
  'resource_class.unknown': 'There is no such resource class.',
  'resource_class.exists': 'A resource class of this name exists already.',
  'resource_class.in_use': 'A resource provider has inventory of the class.',
  'trait.unknown': 'There is no such trait.',
  'trait.in_use': 'A resource provider has the trait.',
  // who asks
  'auth.required': 'The request does not say who asks, or not rightly.',
  'auth.forbidden': 'Whoever asks may not do this.',
  'auth.busy': 'Too many ask at once who they are.',
  'auth.unavailable': 'Who asks cannot be found out just now.',
  // settings
  'settings.invalid': 'The configuration is not valid.',
  'configuration.not_taken': 'The configuration files were not taken over; what was read before stays in force.',
  // device life cycle
  'device.invalid_status': 'The device is not in a status that allows this.',
  'device.invalid_owner': 'Another server owns the device.',
  'device.relative_in_use': 'A PF or VF of the same card is in use.',
  // claims
  'device.not_pooled': 'The device is not among the free ones.',
  'request.no_devices': 'There are too few free devices.',
  'claim.conflict': 'The devices changed hands meanwhile.',
  // placements of orchestrators
  'placement.unknown': 'There is no such placement.',
  'placement.too_many_waiting': 'Too many placements wait for their decision.',
  'quota.exceeded': 'The project would have more than its quota.',
  // the bus
  'message.invalid': 'A message is not well formed.',
  'message.forged': 'A message speaks for a host that its sender is not.',
  'message.too_large': 'A message is larger than the limit.',
  'bus.unavailable': 'The message broker cannot be reached.',
  // the host
  'sysfs.unreadable': 'The sysfs tree cannot be read.',
  'device.missing': 'The device is not on this host.',
  'device.changed': 'The device at this address is another one than expected.',
  'binding.failed': 'The kernel refused to bind the device.',
  'cdi.failed': 'The CDI file of a server could not be written or removed.',
  'device.protected': 'The host itself needs the device.',
  'binding.refused': 'The agent refuses to touch the device.',
  'guest.failed': 'The guest of a server could not be started, changed or ended.',
  'claim.released': 'The claim was released before.',
  'command.stale': 'The command was meant for a former installation of the host.',
  // the ledger
  'database.unavailable': 'The database cannot be reached.',
  'database.not_migrated': 'The database schema is not up to date.',
  'audit.damaged': 'The audit chain cannot be continued.',
  // ours
  'internal.error': 'Berth has a bug.',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  /** What the log may have and the client need not. */
  readonly [key: string]: unknown;
}

/**
 * A fault of the caller or of the world.
 *
 * @param code     one of {@link ERROR_CODES}
 * @param message  safe for the client: names the field and the fix
 * @param options  `cause` is the error behind it; `details` are machine-readable particulars
 */
export class BerthError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BerthError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
