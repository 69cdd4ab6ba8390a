import type { Bus } from '../../bus/bus.js';
import { BerthError } from '../../errors.js';
import { envelope } from '../../messages/envelope.js';
import { QUEUES } from '../../messages/routes.js';
import { GUEST_MESSAGE_MAX } from '../../messages/server-bodies.js';
import type { AgentSettings } from '../../settings/settings.js';
import type { BinderHost } from '../vfio-binder-writes.js';
import type { ComputeDriver } from './compute-driver.js';
import { GuestRecords, type GuestRecord } from './guest-records.js';
import { Guests } from './guests.js';
import { LibvirtDriver } from './libvirt.driver.js';
import { QemuDriver } from './qemu.driver.js';

interface Surroundings extends Pick<BinderHost, 'log' | 'problems'> {
  readonly host: string;
  readonly epoch: number;
  readonly bus: Bus;
}

/**
 * The guests of this host, with the driver that the settings name; null: somebody else starts them.
 *
 * @throws BerthError `settings.invalid` when there are guests of another driver, which this one could not end
 */
export async function openGuests(settings: AgentSettings, around: Surroundings): Promise<Guests | null> {
  const { stateDir, computeDriver = 'attach-only', readOnly } = settings;
  const { log, problems, host, epoch, bus } = around;
  const records = await GuestRecords.open(stateDir, log);
  const stranger = records.all().find(({ driver }) => driver !== computeDriver);
  if (stranger) {
    const problem = `"${computeDriver}" cannot end the guest of server ${stranger.serverId}, which "${stranger.driver}" has started`;
    throw new BerthError('settings.invalid', `agent.compute_driver: ${problem}; delete its server first`);
  }
  const driver = readOnly ? null : driverOf(settings);
  if (driver === null) return null;
  return new Guests({
    ...{ driver, records, problems, log },
    tell: (record) => bus.publish(QUEUES.outcomes, envelope('guest.ended', endOf(record, host, epoch))),
  });
}

/** @throws BerthError `settings.invalid` when what it needs is not set */
function driverOf(settings: AgentSettings): ComputeDriver | null {
  const { computeDriver = 'attach-only', kernel, guests, qemu, libvirt, stateDir, procRoot } = settings;
  if (computeDriver === 'attach-only' || computeDriver === 'cdi') return null;
  if (kernel !== 'live') {
    throw new BerthError('settings.invalid', 'agent.compute_driver: a recorded host has no devices for guests');
  }
  if (computeDriver === 'qemu' && guests && qemu) return new QemuDriver({ stateDir, procRoot, settings: guests, qemu });
  if (computeDriver === 'libvirt' && guests && libvirt)
    return new LibvirtDriver({ stateDir, settings: guests, libvirt });
  throw new BerthError('settings.invalid', `agent.compute_driver: "${computeDriver}" has no settings`);
}

function endOf({ serverId, message = '', since }: GuestRecord, host: string, epoch: number) {
  return {
    ...{ host, epoch, server_id: serverId, state: 'ended' as const },
    message: message.slice(0, GUEST_MESSAGE_MAX),
    since: new Date(since).toISOString(),
  };
}
