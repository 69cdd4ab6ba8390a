import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { Tx } from '../../store/database.js';
import {
  type HostToLeave,
  lockHostToLeave,
  readReservationsThere,
  readServersThere,
  removeHost,
  type ServerThere,
} from '../../store/evacuation-admin.store.js';
import { changeHost, type HostChanges, lockHostForChange } from '../../store/host-admin.store.js';
import { Ledger } from '../../store/ledger.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import type { HostChangeBody } from './hosts.dto.js';

const NAMED_MAX = 10;

/** As the body says; null takes the reason away. */
export type HostWish = Omit<HostChangeBody, 'disabled_reason'> & { readonly disabled_reason?: string | null };

/** What administrators say of hosts, whichever face they speak to. */
@Injectable()
export class HostAdminService {
  constructor(private readonly ledger: Ledger) {}

  /**
   * @returns the host's id
   * @throws BerthError `host.unknown`, `request.invalid`
   */
  change(nameOrId: string, wish: HostWish): Promise<string> {
    return this.ledger.transaction(async (tx) => {
      const locked = await lockHostForChange(tx, nameOrId);
      if (!locked) throw await unknownHost(tx, nameOrId);
      await changeHost(tx, locked.id, changesOf(wish, locked.enabled));
      return locked.id;
    });
  }

  /**
   * Forgets a host that nobody is on and no reservation keeps devices of.
   *
   * @param force also one that is up, or enabled
   * @throws BerthError `host.unknown`, `host.in_use`
   */
  remove(nameOrId: string, force: boolean): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const host = await lockedToLeave(tx, nameOrId);
      assertEmpty(host, await readServersThere(tx, host.id));
      assertUnreserved(host, await readReservationsThere(tx, host.id, NAMED_MAX));
      if (!force) assertOutOfUse(host);
      await removeHost(tx, host);
    });
  }
}

/** @throws BerthError `host.unknown` */
export async function lockedToLeave(tx: Tx, nameOrId: string): Promise<HostToLeave> {
  const host = await lockHostToLeave(tx, nameOrId);
  if (host) return host;
  throw await unknownHost(tx, nameOrId);
}

function changesOf(wish: HostWish, wasEnabled: boolean): HostChanges {
  const enabled = wish.enabled ?? wasEnabled;
  const { disabled_reason: reason } = wish;
  if (enabled && typeof reason === 'string') {
    throw invalidFields([{ field: 'disabled_reason', problem: 'means nothing of a host that is enabled' }]);
  }
  return {
    ...(enabled === wasEnabled ? {} : { enabled, disabledReason: null }),
    ...(reason === undefined ? {} : { disabledReason: reason }),
    ...(typeof wish.forced_down === 'boolean' ? { forcedDown: wish.forced_down } : {}),
    ...(wish.traits ? { traits: [...new Set(wish.traits)].sort() } : {}),
    ...(wish.reserved === undefined ? {} : { reserved: wish.reserved }),
    ...(wish.allocation_ratios === undefined ? {} : { allocationRatios: wish.allocation_ratios }),
  };
}

function assertEmpty({ name }: HostToLeave, servers: readonly ServerThere[]): void {
  if (servers.length === 0) return;
  const named = servers.slice(0, NAMED_MAX).map((server) => `${server.name} (${server.id})`);
  const more = servers.length > NAMED_MAX ? ` and ${servers.length - NAMED_MAX} more` : '';
  throw new BerthError('host.in_use', `Servers are on host ${name}: ${named.join(', ')}${more}; evacuate it first`, {
    details: { servers: servers.map(({ id }) => id) },
  });
}

function assertUnreserved({ name }: HostToLeave, reservations: readonly string[]): void {
  if (reservations.length === 0) return;
  const message = `Devices of host ${name} are kept for reservations: ${reservations.join(', ')}; cancel them first`;
  throw new BerthError('host.in_use', message, { details: { reservations } });
}

function assertOutOfUse({ name, status, enabled }: HostToLeave): void {
  if (status === 'down' && !enabled) return;
  const is = [...(status === 'up' ? ['up'] : []), ...(enabled ? ['enabled'] : [])].join(' and ');
  throw new BerthError('host.in_use', `Host ${name} is ${is}; disable it and stop its agent, or say force=true`);
}
