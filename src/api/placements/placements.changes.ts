import { messageOf } from '../../errors.js';
import { type Address, normalizeAddress } from '../../pci/address.js';
import type { Change } from '../../placement/what-if.js';
import { type FieldError, invalidFields } from '../request-validation.pipe.js';
import { ADDED_HOSTS_MAX, type ChangeBody, type ChangeKind } from './placements.dto.js';

type Field = Exclude<keyof ChangeBody, 'kind'>;

const FIELDS: Readonly<Record<ChangeKind, readonly Field[]>> = {
  add_hosts: ['like', 'count'],
  lose_host: ['host'],
  enable_host: ['host'],
  free_server: ['server_id'],
  hold_device: ['host', 'address'],
  lift_hold: ['host', 'address'],
  lose_device: ['host', 'address'],
};
const ALL_FIELDS: readonly Field[] = ['like', 'count', 'host', 'address', 'server_id'];

/** The field of a change that something is said about: `changes[2].host`. */
export function changeField(at: number, key: string): string {
  return `changes[${at}].${key}`;
}

/**
 * Changes as they are asked for.
 *
 * @throws BerthError `request.invalid` when a change lacks a field or has one that means nothing to it, an address is none,
 *   or more hosts would be added than may be
 */
export function readChanges(bodies: readonly ChangeBody[]): Change[] {
  const errors: FieldError[] = [];
  const changes = bodies.map((body, at) => {
    const problems = fieldProblems(body, at);
    errors.push(...problems);
    return problems.length > 0 ? null : readChange(body, at, errors);
  });
  const added = bodies.reduce((sum, { count }) => sum + (count ?? 0), 0);
  if (added > ADDED_HOSTS_MAX) {
    errors.push({ field: 'changes', problem: `add ${added} hosts together; at most ${ADDED_HOSTS_MAX}` });
  }
  if (errors.length > 0) throw invalidFields(errors);
  return changes as Change[];
}

function fieldProblems(body: ChangeBody, at: number): FieldError[] {
  const wanted = FIELDS[body.kind];
  return ALL_FIELDS.flatMap((key): FieldError[] => {
    const isThere = body[key] !== undefined && body[key] !== null;
    if (isThere === wanted.includes(key)) return [];
    const problem = isThere ? `means nothing to ${body.kind}; leave it out` : `is needed for ${body.kind}`;
    return [{ field: changeField(at, key), problem }];
  });
}

function readChange(body: ChangeBody, at: number, errors: FieldError[]): Change {
  const { kind, like = '', count = 0, host = '', server_id = '' } = body;
  switch (kind) {
    case 'add_hosts':
      return { kind, like, count };
    case 'lose_host':
    case 'enable_host':
      return { kind, host };
    case 'free_server':
      return { kind, serverId: server_id.toLowerCase() };
    default:
      return { kind, host, address: readAddress(body.address ?? '', at, errors) };
  }
}

function readAddress(text: string, at: number, errors: FieldError[]): Address {
  try {
    return normalizeAddress(text);
  } catch (error) {
    errors.push({ field: changeField(at, 'address'), problem: messageOf(error) });
    return text;
  }
}
