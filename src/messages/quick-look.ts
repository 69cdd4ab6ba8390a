import { COMMANDS_PER_MESSAGE_MAX, HOST_NAME } from './routes.js';

/**
 * Heartbeats, commands and outcomes come by the thousand a second, and class-validator takes some 60 µs for each. What is as it usually is, is
 * recognised here in one or two; all else goes the long way, which also knows what to say of it. Whatever passes here passes
 * there: a test holds that.
 */
export const QUICK_LOOKS: Readonly<Record<string, (body: object) => boolean>> = {
  'agent.heartbeat': isHeartbeat,
  'agent.commands': (body) => isList(body, 'commands', isCommand),
  'agent.outcomes': (body) => isList(body, 'outcomes', isOutcome),
  'devices.prepare': isPrepare,
  'devices.release': isRelease,
  'devices.prepared': isPrepared,
  'devices.released': isReleased,
};

const LIST_MAX = 1024;
/** RFC 9562's versions 1 to 8 with their variant, as class-validator's `IsUUID` takes. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
const HASH = /^[0-9a-f]{64}$/;
const HEX4 = /^[0-9a-f]{4}$/;
const RELEASE_OUTCOMES: ReadonlySet<unknown> = new Set(['restored', 'restored-other-driver', 'driverless', 'missing']);

type Fields = Readonly<Record<string, unknown>>;

function isHeartbeat(body: object): boolean {
  const { host, epoch, sequence, hash } = body as Fields;
  return (
    hasFields(body, 4) && matches(HOST_NAME, host) && isFrom(1, epoch) && isFrom(0, sequence) && matches(HASH, hash)
  );
}

function isFrom(min: number, value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min;
}

function isList(body: object, field: string, isItem: (item: Fields) => boolean): boolean {
  const list = (body as Fields)[field];
  return hasFields(body, 1) && isItems(list, COMMANDS_PER_MESSAGE_MAX, isItem);
}

function isItems(list: unknown, max: number, isItem: (item: Fields) => boolean): boolean {
  return Array.isArray(list) && list.length <= max && list.every((item) => isFields(item) && isItem(item));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasFields(value: object, count: number): boolean {
  return Object.keys(value).length === count;
}

function isCommand(item: Fields): boolean {
  const { prepare, release } = item;
  if (!hasFields(item, 1)) return false;
  return (isFields(prepare) && isPrepare(prepare)) || (isFields(release) && isRelease(release));
}

function isOutcome(item: Fields): boolean {
  const { prepared, released } = item;
  if (!hasFields(item, 1)) return false;
  return (isFields(prepared) && isPrepared(prepared)) || (isFields(released) && isReleased(released));
}

function isPrepare(body: object): boolean {
  const { claim_id, server_id, devices } = body as Fields;
  return (
    hasFields(body, 3 + fenceFields(body as Fields)) &&
    isUuid(claim_id) &&
    isUuid(server_id) &&
    isItems(devices, LIST_MAX, isTarget)
  );
}

function isTarget(target: Fields): boolean {
  const { address, vendor_id, product_id } = target;
  return hasFields(target, 3) && matches(ADDRESS, address) && matches(HEX4, vendor_id) && matches(HEX4, product_id);
}

function isRelease(body: object): boolean {
  const { claim_id, server_id } = body as Fields;
  return hasFields(body, 2 + fenceFields(body as Fields)) && isUuid(claim_id) && isUuid(server_id);
}

/** How many fields the fence of a command has: none, or two that are right; else more than there can be. */
function fenceFields({ claim_number: number, incarnation }: Fields): number {
  if (number === undefined && incarnation === undefined) return 0;
  return isFrom(1, number) && isUuid(incarnation) ? 2 : Infinity;
}

function isPrepared(body: object): boolean {
  const { bindings } = body as Fields;
  return hasFields(body, 5) && isSigned(body as Fields) && isItems(bindings, LIST_MAX, isBinding);
}

function isReleased(body: object): boolean {
  const { devices } = body as Fields;
  return hasFields(body, 5) && isSigned(body as Fields) && isItems(devices, LIST_MAX, isReleasedDevice);
}

function isSigned({ host, epoch, claim_id, server_id }: Fields): boolean {
  return matches(HOST_NAME, host) && isFrom(1, epoch) && isUuid(claim_id) && isUuid(server_id);
}

function isBinding(binding: Fields): boolean {
  const { address, driver, original_driver, iommu_group } = binding;
  const isGroup = iommu_group === null || isFrom(0, iommu_group);
  const isOriginal = original_driver === null || isText(original_driver);
  return hasFields(binding, 4) && matches(ADDRESS, address) && isText(driver) && isOriginal && isGroup;
}

function isReleasedDevice(device: Fields): boolean {
  const { address, outcome, driver } = device;
  const isDriver = driver === null || isText(driver);
  // What has a step, an errno and a remedy is not as it usually is.
  return hasFields(device, 3) && matches(ADDRESS, address) && RELEASE_OUTCOMES.has(outcome) && isDriver;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 64;
}

function isUuid(value: unknown): boolean {
  return matches(UUID, value);
}

function matches(pattern: RegExp, value: unknown): boolean {
  return typeof value === 'string' && pattern.test(value);
}
