import type { TempestUser } from './configuration.js';

/** Where services of a cloud are, by type, as its catalog says; and a token of an administrator. */
export interface Access {
  readonly token: string;
  readonly endpoints: Readonly<Record<string, string>>;
}

interface TokenBody {
  readonly token: {
    readonly catalog: readonly {
      readonly type: string;
      readonly endpoints: readonly { readonly interface: string; readonly url: string }[];
    }[];
  };
}

const ANSWER_MS_MAX = 30_000;

/** @throws Error when the user is not let in */
export async function logIn(identityUrl: string, { name, password, project }: TempestUser): Promise<Access> {
  const domain = { id: 'default' };
  const identity = { methods: ['password'], password: { user: { name, password, domain } } };
  const { headers, body } = await ask('POST', `${identityUrl}/auth/tokens`, null, {
    auth: { identity, scope: { project: { name: project, domain } } },
  });
  const { token } = body as TokenBody;
  const endpoints = token.catalog.map(({ type, endpoints: all }) => [
    type,
    all.find((one) => one.interface === 'public')?.url ?? '',
  ]);
  return { token: headers.get('x-subject-token') ?? '', endpoints: Object.fromEntries(endpoints) };
}

/** Two small flavors. Their disks are not empty: nobody but an administrator may start an image without a disk. */
export async function makeFlavors(access: Access): Promise<[string, string]> {
  const make = async (name: string, ram: number): Promise<string> => {
    const flavor = { name: `${name}-${Date.now()}`, ram, vcpus: 1, disk: 1 };
    const { body } = await ask('POST', `${access.endpoints['compute']}/flavors`, access.token, { flavor });
    return (body as { flavor: { id: string } }).flavor.id;
  };
  return [await make('tempest', 64), await make('tempest-alt', 128)];
}

export async function makeImages(access: Access): Promise<[string, string]> {
  const make = async (name: string): Promise<string> => {
    const image = { name, visibility: 'public', disk_format: 'raw', container_format: 'bare' };
    const { body } = await ask('POST', `${access.endpoints['image']}/v2/images`, access.token, image);
    return (body as { id: string }).id;
  };
  return [await make('tempest'), await make('tempest-alt')];
}

async function ask(
  method: string,
  url: string,
  token: string | null,
  body: object,
): Promise<{ readonly headers: Headers; readonly body: unknown }> {
  const answer = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { 'x-auth-token': token }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}: ${text.slice(0, 500)}`);
  return { headers: answer.headers, body: JSON.parse(text) };
}
