import { setTimeout as delay } from 'node:timers/promises';
import { qemuDeviceId } from '../../pci/attachment.js';
import type { Address } from '../../pci/address.js';
import { devicePlug, isPort } from './qemu-command.js';
import type { Qmp } from './qmp.js';

const POLL_MS = 250;

/** Plugs a device into a running guest, at a free port where the machine has ports. One that is plugged stays. */
export async function plug(qmp: Qmp, address: Address, isPorted: boolean): Promise<void> {
  if (await isPlugged(qmp, address)) return;
  const bus = isPorted ? await freePort(qmp) : null;
  await qmp.command('device_add', { ...devicePlug(address), ...(bus !== null && { bus }) });
}

/**
 * Asks the guest to let go of a device, and waits until it has.
 *
 * @throws Error when it does not in time, or refuses
 */
export async function unplug(qmp: Qmp, address: Address, timeoutMs: number): Promise<void> {
  if (!(await isPlugged(qmp, address))) return;
  const id = qemuDeviceId(address);
  let isRefused = false;
  const isRefusal = (name: string, data: Readonly<Record<string, unknown>>): boolean =>
    name === 'DEVICE_UNPLUG_GUEST_ERROR' && data['device'] === id;
  void qmp.event(isRefusal, timeoutMs).then(
    () => (isRefused = true),
    () => undefined,
  );
  // It was asked before, and has not answered yet: that is no refusal.
  const refusal = await qmp.command('device_del', { id }).then(
    () => null,
    (error: unknown) => error,
  );
  const deadline = Date.now() + timeoutMs;
  while (await isPlugged(qmp, address)) {
    if (isRefused) throw new Error(`the guest refuses to let go of ${address}`);
    if (Date.now() >= deadline) {
      throw new Error(`the guest has not let go of ${address} in ${timeoutMs} ms`, { cause: refusal });
    }
    await delay(POLL_MS);
  }
}

/** Objects that were made by the command line or by `device_add` have their ids there; they are there until the guest has let go. */
async function isPlugged(qmp: Qmp, address: Address): Promise<boolean> {
  const children = (await qmp.command('qom-list', { path: '/machine/peripheral' })) as { readonly name?: unknown }[];
  return children.some(({ name }) => name === qemuDeviceId(address));
}

interface ListedDevice {
  readonly qdev_id?: unknown;
  readonly pci_bridge?: { readonly devices?: readonly unknown[] };
}

async function freePort(qmp: Qmp): Promise<string> {
  const buses = (await qmp.command('query-pci')) as { readonly devices: readonly ListedDevice[] }[];
  const ports = buses.flatMap(({ devices }) => devices).filter(({ qdev_id: id }) => isPort(id));
  const free = ports.find(({ pci_bridge: bridge }) => (bridge?.devices ?? []).length === 0);
  if (free) return free.qdev_id as string;
  throw new Error('it has no free port; see agent.guests.hotplug_ports');
}
