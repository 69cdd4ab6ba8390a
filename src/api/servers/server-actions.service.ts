import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { GuestAct } from '../../messages/server-bodies.js';
import type { PlacementRequest } from '../../placement/request.js';
import { findUnknownPlaces } from '../../store/compute-servers.store.js';
import type { Tx } from '../../store/database.js';
import { askToLeave, lockHostToLeave, readServersThere } from '../../store/evacuation-admin.store.js';
import {
  type ActingServer,
  changeRequest,
  lockActing,
  orderGuest,
  readHostName,
} from '../../store/guest-orders.store.js';
import { Ledger } from '../../store/ledger.js';
import { beginActions } from '../../store/server-actions.store.js';
import { lockServerRow, markAction, markVmState, unlockServerRow } from '../../store/server-locks.store.js';
import { shelveServer, unshelveServer } from '../../store/server-shelving.store.js';
import { RequestRules } from '../request-rules.js';
import { type Caller, isAdmin, mayKnow } from '../identity/caller.js';
import { invalidFields } from '../request-validation.pipe.js';
import type { ResolvedRequest } from './resolve-request.js';
import { resized } from './resized-request.js';
import { type ServerState, serverState } from './server-state.js';
import { unknownServer } from './servers.service.js';

type VmStateWord = ServerState['vmState'];

/** From which states a guest may be acted on: Nova's rules. */
const GUEST_RULES: Readonly<Record<GuestAct, readonly VmStateWord[]>> = {
  stop: ['active', 'error'],
  start: ['stopped'],
  reboot: ['active'],
  reboot_hard: ['active', 'stopped', 'paused', 'suspended', 'error'],
  pause: ['active'],
  unpause: ['paused'],
  suspend: ['active'],
  resume: ['suspended'],
  rebuild: ['active', 'stopped', 'error'],
};

const WORDS: Readonly<Partial<Record<GuestAct, string>>> = { reboot_hard: 'reboot' };
const AT_HOME: readonly VmStateWord[] = ['active', 'stopped', 'paused', 'suspended'];

/** What is done with servers that were placed. The scheduler and the agents carry it out; each is written down with who asked for it. */
@Injectable()
export class ServerActionsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly rules: RequestRules,
  ) {}

  /** @throws BerthError `server.unknown`, `server.locked`, `server.invalid_status` */
  act(caller: Caller, id: string, act: GuestAct): Promise<void> {
    const action = WORDS[act] ?? act;
    return this.with(caller, id, { action, from: GUEST_RULES[act] }, async (tx, server) => {
      // an ERROR of the ledger has neither host nor devices: there is no guest to act on
      if (server.status === 'ERROR') throw conflict(id, action, serverStateOf(server));
      await orderGuest(tx, server, act, caller);
    });
  }

  /**
   * Has a server begin anew. One that is stopped stays so.
   *
   * @param change says what it is from now on, with the server locked
   */
  rebuild(
    caller: Caller,
    id: string,
    change: (tx: Tx, server: ActingServer) => Promise<PlacementRequest>,
  ): Promise<void> {
    return this.with(caller, id, { action: 'rebuild', from: GUEST_RULES.rebuild }, async (tx, server) => {
      if (server.status === 'ERROR') throw conflict(id, 'rebuild', serverStateOf(server));
      const request = await change(tx, server);
      await changeRequest(tx, id, request);
      await orderGuest(tx, { ...server, request }, 'rebuild', caller);
    });
  }

  /** Members may not touch it any more, until somebody unlocks it. */
  lock(caller: Caller, id: string, reason: string | null): Promise<void> {
    return this.with(caller, id, { action: 'lock', from: null, passesLock: true }, (tx, { lockedBy }) =>
      // who locked it first has locked it: an owner's does not replace an administrator's
      lockServerRow(tx, id, { by: lockedBy === 'admin' || isAdmin(caller) ? 'admin' : 'owner', reason }),
    );
  }

  /** @throws BerthError `auth.forbidden` where an administrator has locked it, and the caller is none */
  unlock(caller: Caller, id: string): Promise<void> {
    return this.with(caller, id, { action: 'unlock', from: null, passesLock: true }, async (tx, { lockedBy }) => {
      if (lockedBy === 'admin' && !isAdmin(caller)) {
        throw new BerthError(
          'auth.forbidden',
          `Instance ${id} was locked by an administrator, who alone may unlock it`,
        );
      }
      await unlockServerRow(tx, id);
    });
  }

  /**
   * Says that a server is broken, or that it is not. It keeps what it has.
   *
   * @throws BerthError `server.invalid_status` for one that has no host
   */
  resetState(caller: Caller, id: string, state: 'active' | 'error'): Promise<void> {
    const rule = { action: 'os-resetState', from: [...AT_HOME, 'error' as const] };
    return this.with(caller, id, rule, async (tx, server) => {
      if (server.status !== 'ACTIVE') throw conflict(id, rule.action, serverStateOf(server));
      await markVmState(tx, id, state);
    });
  }

  /** Its devices and its host are free for others; it can be asked for again. */
  shelve(caller: Caller, id: string): Promise<void> {
    return this.with(caller, id, { action: 'shelve', from: AT_HOME }, async (tx, server) => {
      if (server.taskState !== null) throw busy(id, 'shelve', server.taskState);
      await beginActions(tx, [id], { action: 'shelve', state: 'done' }, caller);
      await shelveServer(tx, server);
    });
  }

  /**
   * Has a shelved server placed again.
   *
   * @param to.zone only on hosts of it; null: anywhere; left out: as it was asked for
   * @param to.host the only one that it may go to; left out: any
   * @throws BerthError `request.invalid` for a zone or a host that there is not
   */
  unshelve(caller: Caller, id: string, { zone, host }: UnshelveWish = {}): Promise<void> {
    return this.with(caller, id, { action: 'unshelve', from: ['shelved_offloaded'] }, async (tx, server) => {
      await assertPlaces(tx, { zone: zone ?? null, host: host ?? null });
      await beginActions(tx, [id], { action: 'unshelve', state: 'open' }, caller);
      const { availabilityZone, ...others } = boundTo(server.request, host ?? null).host ?? {};
      const kept = zone === undefined ? availabilityZone : (zone ?? undefined);
      const wishes = { ...others, ...(kept === undefined ? {} : { availabilityZone: kept }) };
      await unshelveServer(tx, server, { ...server.request, host: wishes });
    });
  }

  /**
   * Has the scheduler place one server elsewhere, as its host is gone.
   *
   * @param target the only host that it may go to; null: any
   * @throws BerthError `request.invalid` while the host is up, and for a target that there is not
   */
  evacuate(caller: Caller, id: string, target: string | null = null): Promise<void> {
    const rule: ActionRule = { action: 'evacuate', from: ['active', 'stopped', 'error'] };
    return this.ledger.transaction(async (tx) => {
      // all servers of the host are locked, in their order, before this one is looked at
      const hostName = await readHostName(tx, id);
      const host = hostName === null ? null : await lockHostToLeave(tx, hostName);
      const server = await locked(tx, caller, id, rule);
      if (!host || server.hostId !== host.id) throw conflict(id, rule.action, serverStateOf(server));
      if (host.status === 'up') {
        throw invalidFields([{ field: '', problem: `Compute service of ${host.name} is still in use.` }]);
      }
      await assertPlaces(tx, { zone: null, host: target });
      if (target === host.name) throw invalidFields([{ field: 'host', problem: 'is the host that it is on' }]);
      await changeRequest(tx, id, boundTo(server.request, target));
      const there = (await readServersThere(tx, host.id)).filter((one) => one.id === id);
      await askToLeave(tx, host, there, { reason: null, waits: true, force: false, disable: false }, caller);
    });
  }

  /**
   * Refuses what Berth does not do, as far as the server is there at all.
   *
   * @param from the states that Nova asks for; null: any
   */
  refuse(caller: Caller, id: string, rule: ActionRule, problem: BerthError): Promise<never> {
    return this.with(caller, id, rule, () => Promise.reject(problem));
  }

  /** Only whether the caller may act on it. */
  look(caller: Caller, id: string): Promise<void> {
    return this.with(caller, id, { action: 'look', from: null }, () => Promise.resolve());
  }

  /** A device that a guest has cannot move along with its memory. */
  refuseLiveMigration(caller: Caller, id: string): Promise<never> {
    return this.with(caller, id, { action: 'os-migrateLive', from: ['active', 'paused'] }, (_tx, { request }) => {
      if (request.devices.length > 0) {
        throw invalidFields([
          { field: '', problem: `Instance ${id} has PCI devices passed through; it cannot be migrated live` },
        ]);
      }
      throw new BerthError(
        'server.not_supported',
        'Guests are not migrated live: Berth places servers and their devices',
      );
    });
  }

  /**
   * Has the scheduler place a server on another host: it stops here, and runs there. Where there is no room it stays as it is.
   *
   * @param target the only host that it may go to; null: any other
   * @throws BerthError `request.invalid` for a target that there is not, or that it is on
   */
  migrate(caller: Caller, id: string, target: string | null = null): Promise<void> {
    return this.move(caller, id, 'migrate', async (tx, { request, hostName }) => {
      await assertPlaces(tx, { zone: null, host: target });
      if (target !== null && target === hostName) {
        throw invalidFields([{ field: 'host', problem: 'is the host that it is on' }]);
      }
      return { request: boundTo(request, target), flavor: null };
    });
  }

  /**
   * The same with another flavor. Nothing is left to confirm: it has either moved, or is as it was.
   *
   * @param flavor id or name
   * @throws BerthError `flavor.unknown`, `quota.exceeded`; `server.not_supported` when devices were asked for beside the flavor's
   */
  resize(caller: Caller, id: string, flavor: string): Promise<void> {
    return this.move(caller, id, 'resize', (tx, server) => resized(tx, caller, server, flavor, this.rules));
  }

  private move(
    caller: Caller,
    id: string,
    action: 'migrate' | 'resize',
    nextOf: (tx: Tx, server: ActingServer) => Promise<ResolvedRequest>,
  ): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      // all servers of the host are locked, in their order, before this one is looked at
      const hostName = await readHostName(tx, id);
      const host = hostName === null ? null : await lockHostToLeave(tx, hostName);
      const server = await locked(tx, caller, id, { action, from: ['active', 'stopped'] });
      if (!host || server.hostId !== host.id || server.taskState !== null) {
        throw conflict(id, action, serverStateOf(server));
      }
      const next = await nextOf(tx, server);
      const there = (await readServersThere(tx, host.id)).filter((one) => one.id === id);
      const wish = { reason: null, waits: false, force: false, disable: false, next };
      await markAction(tx, id, action);
      await askToLeave(tx, host, there, { ...wish, kind: action === 'resize' ? 'resize' : 'migration' }, caller);
    });
  }

  /** With the server's row locked, and everything that Nova asks for the same. */
  private with<T>(
    caller: Caller,
    id: string,
    rule: ActionRule,
    work: (tx: Tx, server: ActingServer) => Promise<T>,
  ): Promise<T> {
    return this.ledger.transaction(async (tx) => work(tx, await locked(tx, caller, id, rule)));
  }
}

async function locked(tx: Tx, caller: Caller, id: string, rule: ActionRule): Promise<ActingServer> {
  const server = await lockActing(tx, id);
  if (!server || server.status === 'DELETED' || !mayKnow(caller, server.projectId)) throw unknownServer(id);
  assertAllowed(caller, server, rule);
  return server;
}

export interface UnshelveWish {
  readonly zone?: string | null;
  /** By name. */
  readonly host?: string;
}

/** The request with the one host that may serve it; null: any may. */
function boundTo(request: PlacementRequest, host: string | null): PlacementRequest {
  const { requestedHost: _before, ...others } = request.host ?? {};
  return { ...request, host: { ...others, ...(host === null ? {} : { requestedHost: host }) } };
}

async function assertPlaces(
  tx: Tx,
  places: { readonly zone: string | null; readonly host: string | null },
): Promise<void> {
  const unknown = await findUnknownPlaces(tx, places);
  if (unknown.zone) {
    throw invalidFields([{ field: 'availability_zone', problem: 'is no zone that there is' }]);
  }
  if (unknown.host) throw invalidFields([{ field: 'host', problem: `there is no host ${places.host}` }]);
}

export interface ActionRule {
  /** Nova's word for it. */
  readonly action: string;
  /** The states that it may be in, at rest; null: any. */
  readonly from: readonly string[] | null;
  /** Whether it may be done to a locked server. */
  readonly passesLock?: boolean;
}

function assertAllowed(caller: Caller, server: ActingServer, { action, from, passesLock = false }: ActionRule): void {
  const { id, lockedBy } = server;
  if (lockedBy !== null && !passesLock && !isAdmin(caller)) {
    throw new BerthError('server.locked', `Instance ${id} is locked`);
  }
  if (from === null) return;
  const state = serverStateOf(server);
  if (!from.includes(state.vmState)) throw conflict(id, action, { ...state, task: null });
  if (state.task !== null) throw conflict(id, action, state);
}

function serverStateOf({ status, taskState, vmState, action }: ActingServer): ServerState {
  return serverState({ status, task_state: taskState, vm_state: vmState, action });
}

function conflict(id: string, action: string, { vmState, task }: ServerState): BerthError {
  return task === null ? wrongState(id, action, `vm_state ${vmState}`) : busy(id, action, task);
}

function busy(id: string, action: string, task: string): BerthError {
  return wrongState(id, action, `task_state ${task}`);
}

function wrongState(id: string, action: string, state: string): BerthError {
  return new BerthError('server.invalid_status', `Cannot '${action}' instance ${id} while it is in ${state}`);
}
