import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import type { Test } from 'supertest';
import { type RestApi, startRestApi } from './rest-api.js';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** User: project and role. */
const USERS = {
  root: ['operations', 'admin'],
  bob: ['red', 'member'],
  rita: ['red', 'reader'],
  dave: ['blue', 'member'],
} as const;
export type ComputeUser = keyof typeof USERS;

/** The compute face with users of several projects and roles. */
export interface ComputeApi {
  readonly api: RestApi;
  /** @param path below `/compute/v2.1`; or `/v1/…` */
  as(user: ComputeUser, method: Method, path: string, version?: string): Test;
  close(): Promise<void>;
}

/** @param serverUrl a Postgres in which databases can be created */
export async function startComputeApi(serverUrl: string): Promise<ComputeApi> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-users-'));
  const usersFile = join(folder, 'users');
  const hash = await bcrypt.hash('a password', 4);
  writeFileSync(usersFile, Object.keys(USERS).map((user) => `${user}:${hash}\n`).join('')); // prettier-ignore
  const of = (at: 0 | 1) => Object.fromEntries(Object.entries(USERS).map(([user, given]) => [user, given[at]]));
  const api = await startRestApi(serverUrl, {
    ...{ strategy: 'http_basic', usersFile, projects: of(0) },
    roles: of(1) as Record<ComputeUser, 'reader' | 'member' | 'admin'>,
  });
  return {
    api,
    as: (user, method, path, version = '2.1') =>
      api.http[method](path.startsWith('/v1/') ? path : `/compute/v2.1${path}`)
        .auth(user, 'a password')
        .set('OpenStack-API-Version', `compute ${version}`),
    close: async () => {
      await api.close();
      rmSync(folder, { recursive: true });
    },
  };
}
