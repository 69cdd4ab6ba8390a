import { BerthError } from '../../errors.js';
import {
  AUTH_TYPES,
  type AuthType,
  CLIENT_FIELDS,
  CLIENT_KEYS,
  type ClientKey,
  DEFAULT_URL,
  type Layer,
} from './client-fields.js';
import { cloudLayer, profileLayer, type FilesAtHand } from './settings-files.js';

/** As the identity service takes it. */
export type Named = { readonly id: string } | { readonly name: string };

/** How the REST face is reached, and who asks. */
export interface ClientSettings {
  /** Null: to be found in the catalog of the identity service. */
  readonly url: string | null;
  readonly authType: AuthType;
  /** Of the identity service: `https://keystone.example:5000/v3`. */
  readonly authUrl: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly token: string | null;
  readonly project: Named | null;
  readonly userDomain: Named;
  readonly projectDomain: Named;
  /** Of the endpoint in the catalog; null: any. */
  readonly region: string | null;
  readonly interface: string;
  /** File with the certificates of the authorities that are trusted, instead of those that Node knows. */
  readonly caCert: string | null;
  /** The certificate of the server is not looked at. */
  readonly insecure: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is said on the command line, besides the fields, of files. */
export interface GivenFiles {
  /** `--profile` and `--os-cloud`. */
  readonly profile?: string;
  readonly cloud?: string;
}

const DEFAULT_DOMAIN: Named = { id: 'default' };
/** Of auth types, as other clients spell them. */
const SYNONYMS: Readonly<Record<string, AuthType>> = {
  noauth: 'none',
  v3password: 'password',
  v3token: 'token',
  admin_token: 'token',
  token_endpoint: 'token',
};
/** Faces of Berth that a client of OpenStack is pointed to; ours is beside them. */
const OTHER_FACES = /\/(?:compute(?:\/v2(?:\.1)?)?|placement|identity(?:\/v3)?|image(?:\/v2)?|v1)\/*$/;

/**
 * Flags come before the environment, `BERTH_*` before `OS_*`, and that before a cloud of `clouds.yaml` (when one is named)
 * and a profile of `client.yaml`.
 *
 * @throws BerthError `settings.invalid` that names what is wrong, and where
 */
export function clientSettings(flags: Layer & GivenFiles, env: Environment, files: FilesAtHand): ClientSettings {
  const { profile, cloud, ...said } = flags;
  const cloudName = cloud ?? filled(env['OS_CLOUD']);
  const layers = [
    said as Layer,
    variables(env, 0),
    variables(env, 1),
    ...(cloudName === null ? [] : [cloudLayer(cloudName, files)]),
    profileLayer(profile ?? filled(env['BERTH_PROFILE']), files),
  ];
  return settingsOf(layers);
}

/** @param rank 0: our own; 1: those of OpenStack's clients */
function variables(env: Environment, rank: 0 | 1): Layer {
  return Object.fromEntries(
    CLIENT_KEYS.flatMap((key) => {
      const names: readonly string[] = CLIENT_FIELDS[key].variables;
      const value = names
        .filter((name) => name.startsWith('BERTH_') === (rank === 0))
        .map((name) => filled(env[name]))
        .find((text) => text !== null);
      return value === undefined || value === null ? [] : [[key, value]];
    }),
  );
}

function settingsOf(layers: readonly Layer[]): ClientSettings {
  const said = (key: ClientKey): string | null => layers.map((layer) => layer[key]).find((text) => text) ?? null;
  const authType = authTypeOf(layers);
  const [url, authUrl] = [said('url'), said('auth_url')];
  const inCatalog = authUrl !== null && (authType === 'password' || authType === 'token');
  return {
    url: url === null ? (inCatalog ? null : DEFAULT_URL) : checkedUrl('--url', url).replace(OTHER_FACES, ''),
    authType,
    authUrl: authUrl === null ? null : checkedUrl('--os-auth-url', authUrl),
    username: said('username'),
    password: said('password'),
    token: said('token'),
    project: named(said('project_id'), said('project_name')),
    userDomain: named(said('user_domain_id'), said('user_domain_name')) ?? DEFAULT_DOMAIN,
    projectDomain: named(said('project_domain_id'), said('project_domain_name')) ?? DEFAULT_DOMAIN,
    region: said('region_name'),
    interface: said('interface') ?? 'public',
    caCert: said('cacert'),
    insecure: /^(?:1|true|yes|on)$/i.test(said('insecure') ?? ''),
  };
}

function named(id: string | null, name: string | null): Named | null {
  if (id !== null) return { id };
  return name === null ? null : { name };
}

/** The nearest place that says it; a token says it too. Without a word no password is sent: it may be for somebody else. */
function authTypeOf(layers: readonly Layer[]): AuthType {
  for (const { auth_type: word, token } of layers) {
    if (word) return knownAuthType(word);
    if (token) return 'token';
  }
  return layers.some(({ auth_url: url }) => url) && layers.some(({ username }) => username) ? 'password' : 'none';
}

function knownAuthType(word: string): AuthType {
  const known = SYNONYMS[word] ?? AUTH_TYPES.find((type) => type === word);
  if (known) return known;
  throw new BerthError('settings.invalid', `auth_type: "${word}" is none of ${AUTH_TYPES.join(', ')}`);
}

function checkedUrl(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return text.replace(/\/+$/, '');
  throw new BerthError('settings.invalid', `${name}: "${text}" is not a URL like ${DEFAULT_URL}`);
}

function filled(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
