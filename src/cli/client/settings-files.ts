import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { BerthError, messageOf } from '../../errors.js';
import { suggestion } from '../../pci/suggest.js';
import { CLIENT_KEYS, type Layer } from './client-fields.js';

/** Where files are looked for. */
export interface FilesAtHand {
  /** `client.yaml`; null: nowhere, because there is no home. */
  readonly profiles: string | null;
  /** `clouds.yaml`, in the order in which they are tried. */
  readonly clouds: readonly string[];
  readonly warn: (line: string) => void;
}

/** What a cloud says below `auth`, as profiles do. */
const OF_AUTH = CLIENT_KEYS.filter((key) => !['url', 'auth_type', 'region_name', 'interface', 'cacert'].includes(key));
const SECRETS = ['password', 'token'];
const OTHERS = 0o077;

/** The usual places, as the variables of the environment have them. */
export function filesAtHand(
  env: Readonly<Record<string, string | undefined>>,
  warn: (line: string) => void,
): FilesAtHand {
  const home = env['HOME'] || null;
  const config = env['XDG_CONFIG_HOME'] || (home === null ? null : path.join(home, '.config'));
  return {
    profiles: config === null ? null : path.join(config, 'berth', 'client.yaml'),
    clouds: [
      ...(env['OS_CLIENT_CONFIG_FILE'] ? [env['OS_CLIENT_CONFIG_FILE']] : []),
      'clouds.yaml',
      ...(config === null ? [] : [path.join(config, 'openstack', 'clouds.yaml')]),
      '/etc/openstack/clouds.yaml',
    ],
    warn,
  };
}

/**
 * A profile of `client.yaml`.
 *
 * @param name null: the one that the file names, if it does
 * @throws BerthError `settings.invalid`: the file is not well formed, or has no such profile
 */
export function profileLayer(name: string | null, { profiles: file, warn }: FilesAtHand): Layer {
  if (file === null || !existsSync(file)) {
    if (name === null) return {};
    throw invalid(`profile: there is no "${name}"; ${file ?? 'its file'} does not exist`);
  }
  const content = read(file);
  const unknown = Object.keys(content).find((key) => key !== 'profile' && key !== 'profiles');
  if (unknown !== undefined) throw invalid(`${file}: ${unknown}: unknown; there are profile and profiles`);
  const profiles = objectIn(content['profiles'] ?? {}, `${file}: profiles`);
  const wanted = name ?? (content['profile'] === undefined ? null : String(content['profile']));
  if (wanted === null) return {};
  const profile = named(profiles, wanted, `${file}: profiles`);
  for (const key of Object.keys(profile)) {
    if ((CLIENT_KEYS as readonly string[]).includes(key)) continue;
    throw invalid(`${file}: profiles.${wanted}.${key}: unknown${suggestion(key, CLIENT_KEYS)}`);
  }
  if (SECRETS.some((key) => key in profile) && (statSync(file).mode & OTHERS) !== 0) {
    warn(`${file} has a secret, and others may read it: chmod 600 ${file}`);
  }
  return textsOf(profile);
}

/**
 * A cloud of the first `clouds.yaml` there is.
 *
 * @throws BerthError `settings.invalid`: there is none, or it has no such cloud
 */
export function cloudLayer(name: string, { clouds }: FilesAtHand): Layer {
  const file = clouds.find((place) => existsSync(place));
  if (file === undefined) throw invalid(`cloud: there is no "${name}": none of ${clouds.join(', ')} exists`);
  const cloud = named(objectIn(read(file)['clouds'] ?? {}, `${file}: clouds`), name, `${file}: clouds`);
  const auth = objectIn(cloud['auth'] ?? {}, `${file}: clouds.${name}.auth`);
  const url = cloud['berth_endpoint_override'] ?? auth['endpoint'];
  const { auth_type, region_name, interface: face, cacert, verify } = cloud;
  return textsOf({
    ...{ url, auth_type, region_name, interface: face, cacert },
    ...Object.fromEntries(OF_AUTH.map((key) => [key, auth[key]])),
    ...(verify === false && { insecure: true }),
  });
}

function read(file: string): Readonly<Record<string, unknown>> {
  try {
    return objectIn(parse(readFileSync(file, 'utf8')) ?? {}, file);
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw invalid(`${file}: ${messageOf(cause)}`);
  }
}

function named(all: Readonly<Record<string, unknown>>, name: string, where: string): Readonly<Record<string, unknown>> {
  const found = Object.hasOwn(all, name) ? all[name] : undefined;
  if (found !== undefined) return objectIn(found ?? {}, `${where}.${name}`);
  const there = Object.keys(all).join(', ') || 'none';
  throw invalid(`${where}: there is no "${name}"; there is: ${there}`);
}

function objectIn(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`${where}: has to be a mapping`);
}

function textsOf(values: Readonly<Record<string, unknown>>): Layer {
  const said = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(said.map(([key, value]) => [key, String(value)]));
}

function invalid(message: string): BerthError {
  return new BerthError('settings.invalid', message);
}
