import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import type { GuestSettings } from '../../settings/settings.js';
import { BindingError } from '../binding-error.js';
import type { Guest } from './compute-driver.js';

export interface DiskImage {
  readonly path: string;
  /** By its name, never by its content: a guest could write another image's head into a raw one. */
  readonly format: 'raw' | 'qcow2';
}

/** A plain name: no path, nothing hidden, nothing that programs could take for an option. */
const FILE_NAME = /^[A-Za-z0-9][\w.+-]{0,254}$/;

/**
 * The disk that a guest starts from: the one that its server names, below the settings' directory, else the settings' own. null: it has
 * none.
 *
 * @throws BindingError `guest.failed` when the name is no file's there
 */
export function imageOf({ server }: Pick<Guest, 'server'>, settings: GuestSettings): DiskImage | null {
  if (server.image === undefined) return settings.image === null ? null : imageAt(settings.image);
  if (settings.imageDir === null) {
    throw refused(`the server names the image "${shown(server.image)}", and agent.guests.image_dir is not set here`);
  }
  if (!FILE_NAME.test(server.image)) {
    throw refused(
      `"${shown(server.image)}" is not the name of an image; berth_image is a file name without directories`,
    );
  }
  return imageAt(join(realOrRefused(settings.imageDir), server.image));
}

/** A link could lead anywhere, and a device has something of the host on it. */
function imageAt(path: string): DiskImage {
  try {
    if (!lstatSync(path).isFile()) throw new Error('it is not a plain file');
  } catch (error) {
    throw refused(`the image ${path} cannot be used: ${messageOf(error)}`);
  }
  return { path, format: path.endsWith('.qcow2') ? 'qcow2' : 'raw' };
}

function realOrRefused(directory: string): string {
  try {
    return realpathSync(directory);
  } catch (error) {
    throw refused(`agent.guests.image_dir cannot be used: ${messageOf(error)}`);
  }
}

/** A larger guest than the operator wants is refused. @throws BindingError `guest.failed` */
export function assertSize({ server }: Pick<Guest, 'server'>, { vcpusMax, memoryMbMax }: GuestSettings): void {
  if (server.vcpus > vcpusMax)
    throw refused(`${server.vcpus} vCPUs are more than agent.guests.vcpus_max (${vcpusMax})`);
  if (server.memory_mb <= memoryMbMax) return;
  throw refused(`${server.memory_mb} MiB are more than agent.guests.memory_mb_max (${memoryMbMax})`);
}

function refused(problem: string): BindingError {
  return new BindingError('guest.failed', `The guest cannot be started: ${problem}`, {
    address: null,
    step: 'guest_start',
  });
}

function shown(text: string): string {
  return text.slice(0, 80).replaceAll(/\p{Cc}/gu, '?');
}
