import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { BerthError, ERROR_CODES, type ErrorCode, messageOf } from '../errors.js';
import { outageOf } from '../store/outage.js';
import { faceOf, type FaceRequest } from './openstack/faces.js';
import { type Problem, statusOf } from './problem.js';
import type { FieldError } from './request-validation.pipe.js';

const RETRY_AFTER_SECONDS = 5;

export interface ProblemReply {
  status(code: number): ProblemReply;
  header(name: string, value: string): ProblemReply;
  send(body: unknown): unknown;
}

/** What of a request decides how its error is written. */
type FaultyRequest = Pick<FaceRequest, 'url' | 'requestId' | 'microversion'>;

/** What went wrong, before it is written out. */
interface Fault {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** The only place that knows how an error becomes an HTTP answer: problem+json, RFC 9457, or as the clients of OpenStack read it. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const fault = faultOf(error);
    if (fault.status >= 500) this.logger.error({ message: 'request failed', code: fault.code, error: stackOf(error) });
    sendFault(host.switchToHttp().getResponse<ProblemReply>(), fault, host.switchToHttp().getRequest<FaultyRequest>());
  }
}

/** For what fails before Nest is asked. */
export function sendProblem(reply: ProblemReply, error: BerthError, request: FaultyRequest): void {
  sendFault(reply, faultOf(error), request);
}

function sendFault(reply: ProblemReply, fault: Fault, { url, requestId, microversion }: FaultyRequest): void {
  for (const [name, value] of Object.entries(fault.headers ?? {})) reply.header(name, value);
  const body = faceOf(url)?.fault(fault, requestId ?? '', microversion);
  const type = body ? 'application/json' : 'application/problem+json; charset=utf-8';
  reply.status(fault.status).header('content-type', type);
  // Bytes, because Fastify would not let an object through under this content type.
  reply.send(Buffer.from(JSON.stringify(body ?? problemOf(fault)), 'utf8'));
}

function problemOf(fault: Fault): Problem {
  return {
    type: `urn:berth:problem:${fault.code}`,
    title: ERROR_CODES[fault.code],
    status: fault.status,
    detail: fault.detail,
    code: fault.code,
    ...(fault.errors ? { errors: fault.errors } : {}),
  };
}

function faultOf(error: unknown): Fault {
  if (error instanceof BerthError) return faultOfBerthError(error);
  if (error instanceof HttpException) return faultOfHttpException(error);
  const outage = outageOf(error);
  if (outage === 'unavailable') {
    return outageFault('database.unavailable', 'The database cannot be reached; nothing was changed. Try again.');
  }
  if (outage === 'not_migrated') {
    return outageFault('database.not_migrated', 'The database schema is not up to date; run `berth migrate`.');
  }
  return { code: 'internal.error', status: 500, detail: 'Berth has a bug; its log says more.' };
}

function faultOfBerthError(error: BerthError): Fault {
  const errors = error.details['errors'];
  const { allow, retryAfterSeconds = RETRY_AFTER_SECONDS } = error.details;
  const status = statusOf(error.code, Array.isArray(errors));
  return {
    code: error.code,
    status,
    detail: error.message,
    ...(Array.isArray(errors) ? { errors: errors as FieldError[] } : {}),
    headers: {
      ...(error.details['headers'] as Fault['headers']),
      ...(typeof allow === 'string' ? { allow } : {}),
      ...(status === 503 || status === 429 ? { 'retry-after': String(retryAfterSeconds) } : {}),
    },
  };
}

function outageFault(code: ErrorCode, detail: string): Fault {
  return { code, status: 503, detail, headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } };
}

/** Nest's and Fastify's own refusals: no such path, no JSON, too large, wrong content type. */
function faultOfHttpException(error: HttpException): Fault {
  const status = error.getStatus();
  if (status === 404) return { code: 'request.not_found', status, detail: error.message };
  if (status === 413) return { code: 'request.too_large', status, detail: 'The body is larger than the limit.' };
  if (status >= 500) return { code: 'internal.error', status: 500, detail: 'Berth has a bug; its log says more.' };
  return { code: 'request.invalid', status, detail: error.message };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
