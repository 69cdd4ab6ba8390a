import { cdiDeviceName } from './cdi-spec.js';
import { addressesVariable, deviceFiles, type ContainerDevice } from './container-device.js';

/** Whoever drives a device from user space pins all memory that the device may reach, which is more than a container may by default. */
const UNLIMITED_MEMLOCK = '--ulimit=memlock=-1:-1';

/** Of `docker run` and of `podman run`, for a runtime that knows no CDI: the files themselves. */
export function runArguments(devices: readonly ContainerDevice[]): string[] {
  return [
    ...deviceFiles(devices).map((path) => `--device=${path}:${path}:rw`),
    ...memlock(devices),
    `--env=${addressesVariable(devices)}`,
  ];
}

/** Of `docker run` and of `podman run` where the host has the CDI file of the server. Limits are not CDI's business. */
export function cdiRunArguments(serverId: string, devices: readonly ContainerDevice[]): string[] {
  return [`--device=${cdiDeviceName(serverId)}`, ...memlock(devices)];
}

function memlock(devices: readonly ContainerDevice[]): string[] {
  return deviceFiles(devices).length === 0 ? [] : [UNLIMITED_MEMLOCK];
}
