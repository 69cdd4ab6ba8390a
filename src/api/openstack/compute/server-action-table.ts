import { BerthError } from '../../../errors.js';
import type { AuthRole } from '../../../settings/settings.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { invalidFields } from '../../request-validation.pipe.js';
import type { ActionRule, ServerActionsService } from '../../servers/server-actions.service.js';
import type { ServersService } from '../../servers/servers.service.js';
import { refuseBefore } from './microversion-fields.js';
import { idOfReference } from './server-fields.js';
import { RebuildAction } from './server-rebuild.dto.js';
import type { ServerRebuildService } from './server-rebuild.service.js';
import * as values from './server-actions.dto.js';

/** An action that is asked for. */
export interface Acting {
  readonly caller: Caller;
  /** Of the server. */
  readonly id: string;
  readonly minor: number;
  readonly actions: ServerActionsService;
  readonly servers: ServersService;
  readonly rebuilds: ServerRebuildService;
  /** Where this process is: the beginning of links. */
  readonly base: string;
}

export interface ActionEntry {
  readonly needs: AuthRole;
  /** What its value has to be; null: nothing is looked at. */
  readonly of: (new () => object) | null;
  /** Whether its value may be null. */
  readonly isOptional: boolean;
  run(acting: Acting, value: object): Promise<unknown>;
}

/** Versions from which, or up to which, there is something. */
const SINCE = { lockedReason: 73, zone: 77, host: 91, migrateHost: 56 } as const;
const FORCE = { first: 29, last: 67 } as const;

const AT_HOME = ['active', 'stopped', 'paused', 'suspended'] as const;
const RUNNING_OR_STOPPED = ['active', 'stopped'] as const;

/** Nova's actions on a server, by the key of the body. */
export const ACTIONS: Readonly<Record<string, ActionEntry>> = {
  'os-start': plain((on) => on.actions.act(on.caller, on.id, 'start')),
  'os-stop': plain((on) => on.actions.act(on.caller, on.id, 'stop')),
  reboot: taking(values.RebootAction, (on, { type }) =>
    on.actions.act(on.caller, on.id, type.toUpperCase() === 'HARD' ? 'reboot_hard' : 'reboot'),
  ),
  pause: plain((on) => on.actions.act(on.caller, on.id, 'pause')),
  unpause: plain((on) => on.actions.act(on.caller, on.id, 'unpause')),
  suspend: plain((on) => on.actions.act(on.caller, on.id, 'suspend')),
  resume: plain((on) => on.actions.act(on.caller, on.id, 'resume')),
  lock: { ...taking(values.LockAction, lock), isOptional: true },
  unlock: plain((on) => on.actions.unlock(on.caller, on.id)),
  shelve: plain((on) => on.actions.shelve(on.caller, on.id)),
  // a shelved server has left its host already
  shelveOffload: { ...refused('shelveOffload', ['shelved'], 'It has left its host already'), needs: 'admin' },
  unshelve: { ...taking(values.UnshelveAction, unshelve), isOptional: true },
  rebuild: taking(RebuildAction, (on, value) => on.rebuilds.rebuild(on.caller, on.id, on, value)),
  forceDelete: plain((on) => on.servers.remove(on.caller, on.id)),
  restore: refused('restore', ['soft-delete'], 'Deleted servers are gone'),
  'os-resetState': admin(
    taking(values.ResetStateAction, (on, { state }) => on.actions.resetState(on.caller, on.id, state)),
  ),
  resetNetwork: admin(plain((on) => on.actions.look(on.caller, on.id))),
  injectNetworkInfo: admin(plain((on) => on.actions.look(on.caller, on.id))),
  evacuate: admin(taking(values.EvacuateAction, evacuate)),
  migrate: { ...admin(taking(values.MigrateAction, migrate)), isOptional: true },
  'os-migrateLive': admin(taking(values.LiveMigrateAction, (on) => on.actions.refuseLiveMigration(on.caller, on.id))),
  resize: taking(values.ResizeAction, (on, { flavorRef }) =>
    on.actions.resize(on.caller, on.id, idOfReference(flavorRef)),
  ),
  // who is moved has moved: nothing is left to confirm
  confirmResize: refused('confirmResize', ['resized'], 'It was not resized'),
  revertResize: refused('revertResize', ['resized'], 'It was not resized'),
  changePassword: notDone(
    values.ChangePasswordAction,
    'changePassword',
    ['active'],
    'Passwords of guests are not known here',
  ),
  createImage: notDone(values.CreateImageAction, 'createImage', AT_HOME, 'No images are made of servers'),
  'os-getConsoleOutput': notDone(values.ConsoleOutputAction, 'get_console_output', null, 'Consoles are not kept'),
  rescue: notDone(values.RescueAction, 'rescue', [...RUNNING_OR_STOPPED, 'error'], 'Servers are not rescued'),
  unrescue: refused('unrescue', ['rescued'], 'It is not rescued'),
  addSecurityGroup: taking(values.SecurityGroupAction, unknownGroup),
  removeSecurityGroup: taking(values.SecurityGroupAction, unknownGroup),
};

function plain(run: (on: Acting) => Promise<unknown>): ActionEntry {
  return { needs: 'member', of: null, isOptional: true, run };
}

function taking<T extends object>(of: new () => T, run: (on: Acting, value: T) => Promise<unknown>): ActionEntry {
  return { needs: 'member', of, isOptional: false, run: (on, value) => run(on, value as T) };
}

function admin(entry: ActionEntry): ActionEntry {
  return { ...entry, needs: 'admin' };
}

/** What no server is ever in the state for. */
function refused(action: string, from: readonly string[], why: string): ActionEntry {
  return plain((on) => on.actions.refuse(on.caller, on.id, { action, from }, notSupported(why)));
}

/** What Nova does where its hypervisor can, and says 501 to where it cannot. */
function notDone(of: new () => object, action: string, from: ActionRule['from'], why: string): ActionEntry {
  return taking(of, (on) => on.actions.refuse(on.caller, on.id, { action, from }, notSupported(why)));
}

export function notSupported(why: string): BerthError {
  return new BerthError('server.not_supported', `${why}: Berth places servers and their devices`);
}

function lock({ actions, caller, id, minor }: Acting, { locked_reason }: values.LockAction): Promise<void> {
  refuseBefore(minor, { locked_reason }, { locked_reason: SINCE.lockedReason }, 'lock');
  return actions.lock(caller, id, locked_reason ?? null);
}

function unshelve({ actions, caller, id, minor }: Acting, value: values.UnshelveAction): Promise<void> {
  const { availability_zone: zone, host } = value;
  // an older client's null says nothing; from here on it frees the server from its zone
  if (zone === null && minor < SINCE.host) {
    throw invalidFields([{ field: 'unshelve.availability_zone', problem: `may be null from 2.${SINCE.host} on` }]);
  }
  refuseBefore(minor, value, { availability_zone: SINCE.zone, host: SINCE.host }, 'unshelve');
  if (host !== undefined && !isAdmin(caller)) {
    throw new BerthError('auth.forbidden', 'unshelve.host: only an administrator may choose the host of a server');
  }
  return actions.unshelve(caller, id, {
    ...(zone === undefined ? {} : { zone }),
    ...(host === undefined ? {} : { host }),
  });
}

function evacuate({ actions, caller, id, minor }: Acting, { host, force }: values.EvacuateAction): Promise<void> {
  if (force !== undefined && (minor < FORCE.first || minor > FORCE.last)) {
    throw invalidFields([{ field: 'evacuate.force', problem: `is there from 2.${FORCE.first} to 2.${FORCE.last}` }]);
  }
  if (force === true) {
    throw invalidFields([{ field: 'evacuate.force', problem: 'the scheduler is always asked; leave it out' }]);
  }
  return actions.evacuate(caller, id, host ?? null);
}

function migrate({ actions, caller, id, minor }: Acting, { host }: values.MigrateAction): Promise<void> {
  refuseBefore(minor, { host }, { host: SINCE.migrateHost }, 'migrate');
  return actions.migrate(caller, id, host ?? null);
}

/** There is only the group `default`, which every server has and keeps. */
async function unknownGroup({ actions, caller, id }: Acting, { name }: values.SecurityGroupAction): Promise<never> {
  await actions.look(caller, id);
  throw new BerthError('request.not_found', `Security group ${name} not found; there is no network service`);
}
