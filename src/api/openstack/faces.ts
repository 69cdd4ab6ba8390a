import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { BerthError } from '../../errors.js';
import { computeUrl } from './compute/url.js';

/** What an error is, whatever the face. */
export interface FaceFault {
  /** Berth's own. */
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  /** Of the answer, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A part of the REST interface that speaks as a service of OpenStack does. */
export interface Face {
  /** All of its paths begin so. */
  readonly prefix: string;
  /** The major number of its versions, and the first and last minor that is served; absent: it negotiates none. */
  readonly versions?: { readonly major: number; readonly first: number; readonly last: number };
  /** The header that only this service knows, besides `OpenStack-API-Version`. */
  readonly ownVersionHeader?: string;
  /** The second name under which answers carry the request's id. */
  readonly requestIdHeader?: string;
  /** The body of an error; `minor` is that of the version, undefined when none was agreed on. */
  fault(fault: FaceFault, requestId: string, minor?: number): object;
}

/** What clients of Nova find in an error; each is the only key of its body. */
const NOVA_FAULTS: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

/** Too large, too often: their errors say when to come again. */
const TOO_MUCH: ReadonlySet<number> = new Set([413, 429]);

export const IDENTITY: Face = {
  prefix: '/identity',
  fault: ({ status, detail }) => ({ error: { code: status, title: STATUS_CODES[status] ?? '', message: detail } }),
};

/** Up to the last version of Nova 26 (Zed). */
export const COMPUTE = {
  prefix: '/compute',
  versions: { major: 2, first: 1, last: 93 },
  ownVersionHeader: 'x-openstack-nova-api-version',
  requestIdHeader: 'x-compute-request-id',
  fault: ({ status, detail, headers }: FaceFault) => {
    const retryAfter = TOO_MUCH.has(status) ? headers?.['retry-after'] : undefined;
    const said = { code: status, message: detail, ...(retryAfter === undefined ? {} : { retryAfter }) };
    return { [NOVA_FAULTS[status] ?? 'computeFault']: said };
  },
} as const satisfies Face;

/** What clients of Placement tell errors of one status apart by, from version 1.23 on; others have `placement.undefined_code`. */
const PLACEMENT_CODES: Readonly<Record<string, string>> = {
  'consumer.conflict': 'placement.concurrent_update',
  'provider.conflict': 'placement.concurrent_update',
  'claim.conflict': 'placement.concurrent_update',
};
const PLACEMENT_CODES_FROM = 23;
const PLACEMENT_VERSIONS = { major: 1, first: 0, last: 39 } as const;

/** Up to the last version of Placement 8 (Zed). */
export const PLACEMENT = {
  prefix: '/placement',
  versions: PLACEMENT_VERSIONS,
  fault: ({ code, status, detail }, requestId, minor) => {
    const { first, last } = PLACEMENT_VERSIONS;
    const hasCode = minor !== undefined && minor >= PLACEMENT_CODES_FROM;
    return {
      errors: [
        {
          ...{ status, title: STATUS_CODES[status] ?? '', detail, request_id: requestId },
          ...(hasCode && { code: PLACEMENT_CODES[code] ?? 'placement.undefined_code' }),
          ...(code === 'microversion.unsupported' && { min_version: `1.${first}`, max_version: `1.${last}` }),
        },
      ],
    };
  },
} as const satisfies Face;

export const IMAGE: Face = {
  prefix: '/image',
  fault: ({ status, detail }) => ({ code: status, title: STATUS_CODES[status] ?? '', message: detail }),
};

const FACES: readonly Face[] = [IDENTITY, COMPUTE, PLACEMENT, IMAGE];

/** The face that a path belongs to; null: one of Berth's own. */
export function faceOf(url: string): Face | null {
  return FACES.find(({ prefix }) => url.startsWith(prefix) && /^(?:[/?]|$)/.test(url.slice(prefix.length))) ?? null;
}

/** The path that serves a request: the services of OpenStack take a slash at the end, too. */
export function faceUrl(url: string): string {
  const path = computeUrl(url);
  return faceOf(path) ? path.replace(/^([^?]*)\/(?=\?|$)/, '$1') : path;
}

/** A request of a face, as the hooks leave it. */
export interface FaceRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** `req-` and a UUID; answers carry it, and what is recorded of the request. */
  requestId?: string;
  /** The minor number of the version that was agreed on: 61 for 2.61. */
  microversion?: number;
}

interface HeaderReply {
  header(name: string, value: string): unknown;
}

/**
 * Gives a request of a face its id and its version, and the answer their headers, so that errors have them too.
 *
 * @throws BerthError `microversion.invalid`, `microversion.unsupported`
 */
export function greet(request: FaceRequest, reply: HeaderReply): void {
  const face = faceOf(request.url);
  if (!face) return;
  request.requestId = `req-${randomUUID()}`;
  reply.header('x-openstack-request-id', request.requestId);
  if (face.requestIdHeader) reply.header(face.requestIdHeader, request.requestId);
  if (!face.versions) return;
  const service = face.prefix.slice(1);
  const { ownVersionHeader } = face;
  reply.header(
    'vary',
    ['OpenStack-API-Version', ...(ownVersionHeader ? ['X-OpenStack-Nova-API-Version'] : [])].join(', '),
  );
  request.microversion = agreed(face.versions, asked(request, service, ownVersionHeader));
  const version = `${face.versions.major}.${request.microversion}`;
  reply.header('openstack-api-version', `${service} ${version}`);
  if (ownVersionHeader) reply.header(ownVersionHeader, version);
}

/** What the client asks for: `2.61`, `latest`; null: nothing. */
function asked({ headers }: FaceRequest, service: string, ownHeader: string | undefined): string | null {
  // One header may speak to several services: `compute 2.61, placement 1.29`.
  const common = [headers['openstack-api-version'] ?? []].flat().join(',').split(',');
  const words = common.map((one) => one.trim().toLowerCase().split(/\s+/)).findLast(([name]) => name === service);
  if (words) return words[1] ?? '';
  const own = ownHeader === undefined ? undefined : headers[ownHeader];
  return own === undefined ? null : ([own].flat().at(-1) ?? '').trim().toLowerCase();
}

function agreed({ major, first, last }: NonNullable<Face['versions']>, text: string | null): number {
  if (text === null) return first;
  if (text === 'latest') return last;
  const [, given, minor] = /^(\d{1,3})\.(\d{1,4})$/.exec(text) ?? [];
  if (given === undefined || /^\d+\.0\d/.test(text)) {
    throw new BerthError(
      'microversion.invalid',
      `API Version String ${text.slice(0, 40)} is of invalid format. It has to be MajorNum.MinorNum, or latest.`,
    );
  }
  if (Number(given) === major && Number(minor) >= first && Number(minor) <= last) return Number(minor);
  throw new BerthError(
    'microversion.unsupported',
    `Version ${text} is not supported by the API. Minimum is ${major}.${first} and maximum is ${major}.${last}.`,
  );
}
