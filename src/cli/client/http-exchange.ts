import { readFileSync } from 'node:fs';
import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { BerthError, messageOf } from '../../errors.js';

/** Plans over many hosts take their time. */
const ANSWER_MS_MAX = 600_000;
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** Answers that may not have a body. */
const EMPTY_STATUSES = [204, 205, 304];
/** What Node says when nobody it knows has signed. */
const NOT_TRUSTED = /self.signed|unable to (?:get|verify)|certificate/i;

export type Exchange = (request: Request) => Promise<Response>;

/**
 * Asks by Node's own HTTP: the built-in fetch can only trust other authorities when the process starts with them.
 * Redirects are not followed: they would carry passwords elsewhere.
 *
 * @throws BerthError `settings.invalid` when the file of certificates cannot be read
 */
export function exchangeWith({
  caCert,
  insecure,
}: {
  readonly caCert: string | null;
  readonly insecure: boolean;
}): Exchange {
  const ca = caCert === null ? null : certificatesIn(caCert);
  const tls = new TlsAgent({ keepAlive: true, rejectUnauthorized: !insecure, ...(ca !== null && { ca }) });
  const plain = new PlainAgent({ keepAlive: true });
  return async (request) => {
    const { origin, protocol } = new URL(request.url);
    const body = Buffer.from(await request.arrayBuffer());
    const send = protocol === 'https:' ? tlsRequest : plainRequest;
    try {
      return await new Promise<Response>((resolve, reject) => {
        const options = {
          agent: protocol === 'https:' ? tls : plain,
          method: request.method,
          headers: { ...Object.fromEntries(request.headers), 'content-length': body.byteLength },
          signal: AbortSignal.timeout(ANSWER_MS_MAX),
        };
        const sent = send(request.url, options, (answer) => void responseOf(answer).then(resolve, reject));
        sent.once('error', reject).end(body);
      });
    } catch (cause) {
      throw new Error(`${origin} does not answer: ${causeOf(cause)}`, { cause });
    }
  };
}

async function responseOf(answer: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const status = answer.statusCode ?? 502;
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  return new Response(EMPTY_STATUSES.includes(status) ? null : Buffer.concat(chunks), { status, headers });
}

function causeOf(cause: unknown): string {
  const all = cause instanceof AggregateError ? cause.errors.map(messageOf).join(', ') : messageOf(cause);
  const hint = NOT_TRUSTED.test(all) ? '; --os-cacert (OS_CACERT) names the file of the authority to trust' : '';
  return `${all}${hint}`;
}

function certificatesIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new BerthError('settings.invalid', `--os-cacert: ${messageOf(cause)}`, { cause });
  }
}
