import { BerthError } from '../../errors.js';
import type { ClientSettings } from './client-settings.js';
import type { Exchange } from './http-exchange.js';

/** What goes along with every request, and where to. */
export interface Identity {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface TokenBody {
  readonly token?: {
    readonly catalog?: readonly {
      readonly type: string;
      readonly endpoints: readonly {
        readonly interface: string;
        readonly region_id?: string | null;
        readonly url: string;
      }[];
    }[];
  };
}

/** The type under which Berth is entered in a catalog. */
const SERVICE_TYPE = 'berth';

/**
 * Says who asks, once for a command; a token that is issued here is kept nowhere.
 *
 * @throws BerthError `settings.invalid`: something is not said, or the catalog has no Berth; `auth.required`: refused; an
 *   Error when the identity service does not answer
 */
export async function identityOf(settings: ClientSettings, exchange: Exchange): Promise<Identity> {
  const { authType, url, token } = settings;
  if (authType === 'password') return withPassword(settings, exchange);
  if (authType === 'token') {
    const given = needed(token, 'a token', 'OS_TOKEN');
    return { url: url ?? endpointIn(await lookUp(settings, given, exchange), settings), headers: tokenHeader(given) };
  }
  const headers = authType === 'http_basic' ? { authorization: `Basic ${credentialsOf(settings)}` } : {};
  return { url: needed(url, 'where Berth is', 'BERTH_URL'), headers };
}

function credentialsOf({ username, password }: ClientSettings): string {
  const user = needed(username, 'a user', 'OS_USERNAME');
  return Buffer.from(`${user}:${needed(password, 'a password', 'OS_PASSWORD')}`).toString('base64');
}

async function withPassword(settings: ClientSettings, exchange: Exchange): Promise<Identity> {
  const { username, password, project, projectDomain, userDomain } = settings;
  const user = {
    name: needed(username, 'a user', 'OS_USERNAME'),
    password: needed(password, 'a password', 'OS_PASSWORD'),
    domain: userDomain,
  };
  const scope = project === null ? {} : { scope: { project: scoped(project, projectDomain) } };
  const answer = await exchange(
    new Request(tokensUrl(settings), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, ...scope } }),
    }),
  );
  const body = await accepted(answer);
  const token = answer.headers.get('x-subject-token');
  if (token === null) throw new Error(`${tokensUrl(settings)} issued no token`);
  return { url: settings.url ?? endpointIn(body, settings), headers: tokenHeader(token) };
}

/** An id is unique by itself. */
function scoped(project: NonNullable<ClientSettings['project']>, domain: ClientSettings['projectDomain']): object {
  return 'id' in project ? project : { ...project, domain };
}

async function lookUp(settings: ClientSettings, token: string, exchange: Exchange): Promise<TokenBody> {
  const headers = { ...tokenHeader(token), 'x-subject-token': token };
  return accepted(await exchange(new Request(tokensUrl(settings), { headers })));
}

async function accepted(answer: Response): Promise<TokenBody> {
  const body = (await answer.json().catch(() => ({}))) as TokenBody & { error?: { message?: string } };
  if (answer.ok) return body;
  const why = body.error?.message ?? `it answered ${answer.status}`;
  throw new BerthError('auth.required', `the identity service refuses: ${why}`);
}

/** `…/v3` is often left out. */
function tokensUrl({ authUrl }: ClientSettings): string {
  const base = needed(authUrl, 'the identity service', 'OS_AUTH_URL');
  return `${base.endsWith('/v3') ? base : `${base}/v3`}/auth/tokens`;
}

function endpointIn({ token }: TokenBody, { interface: face, region }: ClientSettings): string {
  const catalog = token?.catalog ?? [];
  const endpoints = catalog.filter(({ type }) => type === SERVICE_TYPE).flatMap((service) => service.endpoints);
  const fitting = endpoints.find(
    (one) => one.interface === face.replace(/URL$/, '') && (region === null || one.region_id === region),
  );
  if (fitting) return fitting.url.replace(/\/+$/, '');
  const there = [...new Set(catalog.map(({ type }) => type))].join(', ') || 'nothing';
  throw new BerthError(
    'settings.invalid',
    `the catalog has no ${face} endpoint of a service of type "${SERVICE_TYPE}"${region === null ? '' : ` in ${region}`}` +
      ` (there is: ${there}); say where Berth is with --url or BERTH_URL`,
  );
}

function tokenHeader(token: string): Record<string, string> {
  return { 'x-auth-token': token };
}

function needed(value: string | null, what: string, variable: string): string {
  if (value !== null) return value;
  throw new BerthError('settings.invalid', `${what} is needed for this auth_type; set ${variable}`);
}
