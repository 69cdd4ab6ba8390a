import { createHash } from 'node:crypto';
import type { IssuedToken } from '../identity/basic-authentication.js';
import type { Caller } from '../identity/caller.js';

const REGION = 'RegionOne';
const INTERFACES = ['public', 'internal', 'admin'] as const;
const DOMAIN = { id: 'default', name: 'Default' };

/** What clients find here: type of the service, name, path. */
const SERVICES = [
  ['identity', 'keystone', '/identity'],
  ['compute', 'nova', '/compute/v2.1'],
  ['placement', 'placement', '/placement'],
  ['image', 'glance', '/image'],
  ['berth', 'berth', ''],
] as const;

/** Each role with those below it, as Keystone implies them. */
const IMPLIED = { admin: ['admin', 'member', 'reader'], member: ['member', 'reader'], reader: ['reader'] } as const;

/**
 * A token, as Keystone shows it.
 *
 * @param base where this process is: `http://berth.example:8790`
 */
export function tokenView({ caller, token }: IssuedToken, base: string): object {
  return {
    methods: ['password'],
    user: { id: caller.userId, name: caller.userName, domain: DOMAIN, password_expires_at: null },
    project: projectOf(caller),
    roles: IMPLIED[caller.role].map((name) => ({ id: name, name })),
    catalog: SERVICES.map(([type, name, path]) => serviceView(type, name, `${base}${path}`)),
    ...{ is_domain: false, audit_ids: [createHash('sha256').update(caller.userId).digest('base64url').slice(0, 22)] },
    issued_at: stamp(token.issued_at),
    expires_at: stamp(token.expires_at),
  };
}

function projectOf({ projectId, projectName }: Caller): object {
  return { id: projectId, name: projectName, domain: DOMAIN };
}

export function projectView(name: string): object {
  return { id: name, name, domain_id: DOMAIN.id, enabled: true, is_domain: false, description: '', tags: [] };
}

function serviceView(type: string, name: string, url: string): object {
  const endpoints = INTERFACES.map((one) => ({
    ...{ id: `${type}-${one}`, interface: one, region: REGION, region_id: REGION, url },
  }));
  return { id: type, type, name, endpoints };
}

/** With microseconds, as Keystone writes it. */
function stamp(time: Date): string {
  return time.toISOString().replace(/Z$/, '000Z');
}
