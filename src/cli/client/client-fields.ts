export const AUTH_TYPES = ['none', 'http_basic', 'password', 'token'] as const;
export type AuthType = (typeof AUTH_TYPES)[number];

export const DEFAULT_URL = 'http://127.0.0.1:8790';

interface Field {
  readonly flag: string;
  readonly argument?: string;
  readonly about: string;
  readonly variables: readonly string[];
}

/** Everything that can be said, by its word in `client.yaml`. */
export const CLIENT_FIELDS = {
  url: {
    flag: '--url, --os-endpoint',
    argument: 'url',
    about: 'the REST face; http://127.0.0.1:8790 when nothing else is said',
    variables: ['BERTH_URL', 'OS_ENDPOINT', 'OS_ENDPOINT_OVERRIDE'],
  },
  auth_type: {
    flag: '--os-auth-type',
    argument: 'type',
    about: AUTH_TYPES.join(', '),
    variables: ['BERTH_AUTH_TYPE', 'OS_AUTH_TYPE'],
  },
  auth_url: {
    flag: '--os-auth-url',
    argument: 'url',
    about: 'the identity service, for password',
    variables: ['BERTH_AUTH_URL', 'OS_AUTH_URL'],
  },
  username: {
    flag: '--os-username',
    argument: 'name',
    about: 'who asks',
    variables: ['BERTH_USERNAME', 'OS_USERNAME'],
  },
  password: {
    flag: '--os-password',
    argument: 'password',
    about: 'better said in the environment or a file: other users of the machine see the words of a command',
    variables: ['BERTH_PASSWORD', 'OS_PASSWORD'],
  },
  token: {
    flag: '--os-token',
    argument: 'token',
    about: 'of the identity service',
    variables: ['BERTH_TOKEN', 'OS_TOKEN'],
  },
  project_name: {
    flag: '--os-project-name',
    argument: 'name',
    about: 'the project of the token that is asked for',
    variables: ['BERTH_PROJECT_NAME', 'OS_PROJECT_NAME', 'OS_TENANT_NAME'],
  },
  project_id: { flag: '--os-project-id', argument: 'id', about: '', variables: ['OS_PROJECT_ID', 'OS_TENANT_ID'] },
  user_domain_name: {
    flag: '--os-user-domain-name',
    argument: 'name',
    about: 'the one with the id default when left out',
    variables: ['OS_USER_DOMAIN_NAME'],
  },
  user_domain_id: { flag: '--os-user-domain-id', argument: 'id', about: '', variables: ['OS_USER_DOMAIN_ID'] },
  project_domain_name: {
    flag: '--os-project-domain-name',
    argument: 'name',
    about: 'the one with the id default when left out',
    variables: ['OS_PROJECT_DOMAIN_NAME'],
  },
  project_domain_id: { flag: '--os-project-domain-id', argument: 'id', about: '', variables: ['OS_PROJECT_DOMAIN_ID'] },
  region_name: { flag: '--os-region-name', argument: 'name', about: 'in the catalog', variables: ['OS_REGION_NAME'] },
  interface: {
    flag: '--os-interface',
    argument: 'name',
    about: 'in the catalog: public, internal or admin; public when left out',
    variables: ['OS_INTERFACE'],
  },
  cacert: {
    flag: '--os-cacert',
    argument: 'file',
    about: 'certificates of the authorities that are trusted',
    variables: ['BERTH_CACERT', 'OS_CACERT'],
  },
  insecure: {
    flag: '--insecure',
    about: 'do not look at the certificate of the server',
    variables: ['BERTH_INSECURE', 'OS_INSECURE'],
  },
} satisfies Record<string, Field>;

export type ClientKey = keyof typeof CLIENT_FIELDS;
export const CLIENT_KEYS = Object.keys(CLIENT_FIELDS) as ClientKey[];

/** What one place says; its keys are those of the file. */
export type Layer = Readonly<Partial<Record<ClientKey, string>>>;
