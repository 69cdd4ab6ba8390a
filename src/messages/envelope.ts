// class-transformer's decorators in bodies.ts need it, in whatever order rooms are loaded.
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { BerthError } from '../errors.js';
import {
  AgentCommands,
  AgentHeartbeat,
  AgentOutcomes,
  AgentJournal,
  AgentHolds,
  AgentReport,
  AgentStamp,
  DevicesPrepared,
  DevicesReleased,
  PrepareDevices,
  PrepareFailed,
  ReleaseDevices,
  ReloadAgent,
  RequestJournal,
  RequestReport,
  ServerNudge,
} from './bodies.js';
import { DevicesCleaned, RequestCleaning } from './device-bodies.js';
import { SetDeviceClaims } from './device-claim-bodies.js';
import { ActOnGuest, GuestActed, GuestEnded } from './server-bodies.js';
import { SetSriov } from './sriov-bodies.js';
import { QUICK_LOOKS } from './quick-look.js';
import { jsonHash, RecentHashes } from './recent-hashes.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const CHECKED_REPORTS = new RecentHashes(20_000);
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Every message type and the class that validates its body. A message is added here and in `routes.ts`. */
const BODIES = {
  'server.requested': ServerNudge,
  'server.deleted': ServerNudge,
  'agent.report': AgentReport,
  'agent.heartbeat': AgentHeartbeat,
  'agent.holds': AgentHolds,
  'devices.prepare': PrepareDevices,
  'devices.release': ReleaseDevices,
  'report.request': RequestReport,
  'agent.reload': ReloadAgent,
  'journal.request': RequestJournal,
  'agent.journal': AgentJournal,
  'sriov.set': SetSriov,
  'device_claims.set': SetDeviceClaims,
  'devices.prepared': DevicesPrepared,
  'devices.prepare_failed': PrepareFailed,
  'devices.released': DevicesReleased,
  'devices.cleaned': DevicesCleaned,
  'cleaning.request': RequestCleaning,
  'guest.ended': GuestEnded,
  'guest.act': ActOnGuest,
  'guest.acted': GuestActed,
  'agent.commands': AgentCommands,
  'agent.outcomes': AgentOutcomes,
} as const;

export type MessageType = keyof typeof BODIES;
export type MessageBody<T extends MessageType> = InstanceType<(typeof BODIES)[T]>;

/** One message. A union over the types, so that `switch (envelope.type)` narrows the body. */
export type Envelope<T extends MessageType = MessageType> = {
  [K in T]: {
    /** UUID; the same in every redelivery. */
    readonly id: string;
    readonly type: K;
    /** ISO 8601. For people; no decision is made on it. */
    readonly sent_at: string;
    readonly body: MessageBody<K>;
  };
}[T];

export function envelope<T extends MessageType>(type: T, body: MessageBody<T>, sentAt = new Date()): Envelope<T> {
  return { id: randomUUID(), type, sent_at: sentAt.toISOString(), body } as Envelope<T>;
}

/**
 * The bytes of a message, after the check that the receiver will make: a message that cannot be read is the sender's
 * bug, and is found there. (Some 60 µs for each device of a report.)
 *
 * @param bytesMax the limit of one message in bytes
 * @throws BerthError `message.too_large`, `message.invalid` (names the field)
 */
export function encodeEnvelope<T extends MessageType>(message: Envelope<T>, bytesMax: number): Buffer {
  const bytes = Buffer.from(JSON.stringify(message), 'utf8');
  // what is recognised is plain data of known form: it is read back as it is
  if (isUsual(message as Envelope)) assertSize(bytes, bytesMax);
  else decodeEnvelope(bytes, bytesMax);
  return bytes;
}

function isUsual({ id, type, sent_at, body }: Envelope): boolean {
  const isObject = typeof body === 'object' && body !== null;
  return isObject && UUID.test(id) && ISO_TIME.test(sent_at) && QUICK_LOOKS[type]?.(body) === true;
}

/**
 * Reads and validates a message.
 *
 * @throws BerthError `message.too_large`, `message.invalid` (names the field)
 */
export function decodeEnvelope(bytes: Buffer, bytesMax: number): Envelope {
  assertSize(bytes, bytesMax);
  const raw = parseJson(bytes);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw invalid('a message is a JSON object');
  const { id, type, sent_at, body } = raw as Record<string, unknown>;
  if (typeof id !== 'string' || !UUID.test(id)) throw invalid('id: a UUID is needed');
  if (typeof type !== 'string' || !Object.hasOwn(BODIES, type)) {
    throw invalid(`type: ${JSON.stringify(type)?.slice(0, 80)} is not a message type`);
  }
  if (typeof sent_at !== 'string' || !ISO_TIME.test(sent_at) || Number.isNaN(Date.parse(sent_at))) {
    throw invalid('sent_at: an ISO 8601 time is needed');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('body: an object is needed');
  return { id, type, sent_at, body: checkedBody(type as MessageType, body) } as unknown as Envelope;
}

function checkedBody(type: MessageType, body: object): object {
  if (type === 'agent.report') return checkedReport(body);
  return QUICK_LOOKS[type]?.(body) ? body : thoroughlyChecked(type, body);
}

/**
 * By class-validator, however usual it looks.
 *
 * @throws BerthError `message.invalid` (names the field)
 */
export function thoroughlyChecked(type: MessageType, body: object): object {
  return checkedAs(type, BODIES[type], body);
}

/**
 * A report is large, and most are the same as one before but for their stamp: what was found valid once is not looked
 * at again. (Checking costs some 60 µs for each device, to know it again a tenth of that.)
 */
function checkedReport(body: object): object {
  const { facts, devices, pools, ...stamp } = body as Record<string, unknown>;
  const hash = jsonHash([facts, devices, pools]);
  if (hash !== null && CHECKED_REPORTS.has(hash)) {
    checkedAs('agent.report', AgentStamp, stamp);
    return body;
  }
  const checked = checkedAs('agent.report', AgentReport, body);
  if (hash !== null) CHECKED_REPORTS.add(hash);
  return checked;
}

function checkedAs(type: MessageType, kind: new () => object, body: object): object {
  const instance = instanceOf(type, kind, body);
  const errors = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
  if (errors.length > 0) throw invalid(`${type}: ${firstProblem(errors)}`);
  return instance;
}

function instanceOf(type: MessageType, kind: new () => object, body: object): object {
  try {
    return plainToInstance<object, object>(kind, body);
  } catch (cause) {
    // class-transformer recurses: a body nested thousands of levels deep exhausts the stack.
    throw new BerthError('message.invalid', `${type}: the body cannot be read; is it nested too deeply?`, { cause });
  }
}

function assertSize(bytes: Buffer, bytesMax: number): void {
  if (bytes.length > bytesMax) {
    throw new BerthError('message.too_large', `A message of ${bytes.length} bytes is above the limit of ${bytesMax}`);
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch (cause) {
    throw new BerthError('message.invalid', 'A message is not JSON in UTF-8', { cause });
  }
}

function invalid(problem: string): BerthError {
  return new BerthError('message.invalid', problem);
}

/** The first problem, as `devices.3.vendor_id: …`; that of a field itself comes before those of what is in it. */
function firstProblem(errors: readonly ValidationError[], path = ''): string {
  const error = errors[0];
  if (!error) return `${path}: is not valid`;
  const here = path ? `${path}.${error.property}` : error.property;
  const own = Object.values(error.constraints ?? {})[0];
  return own === undefined ? firstProblem(error.children ?? [], here) : `${here}: ${own}`;
}
