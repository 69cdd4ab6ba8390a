import { BindingError } from '../../src/compute-agent/binding-error.js';
import type {
  ComputeDriver,
  Guest,
  GuestControl,
  GuestState,
  NoteGuest,
} from '../../src/compute-agent/compute-driver/compute-driver.js';
import type { WireBinding } from '../../src/messages/bodies.js';

/** A hypervisor in memory: it outlives the agent, and does as it is told. */
export class MemoryHypervisor implements ComputeDriver {
  readonly name = 'qemu';
  readonly calls: string[] = [];
  readonly running = new Map<string, string[]>();
  /** The next calls of this kind fail. */
  fails: string | null = null;
  /** So many calls of it fail. */
  failsFor = 1;
  onCall: () => void = () => undefined;

  async start(guest: Guest, note: NoteGuest): Promise<void> {
    this.call('start', guest.devices);
    await note({ pid: 4711 });
    this.running.set(
      guest.serverId,
      guest.devices.map(({ address }) => address),
    );
  }

  async stop({ serverId, notes }: Guest, how?: string): Promise<void> {
    this.call(`stop ${how} ${notes['pid'] ?? '-'}`, []);
    this.running.delete(serverId);
  }

  async attach({ serverId }: Guest, added: readonly WireBinding[]): Promise<void> {
    this.call('attach', added);
    this.running.get(serverId)?.push(...added.map(({ address }) => address));
  }

  async detach(_guest: Guest, removed: readonly WireBinding[]): Promise<void> {
    this.call('detach', removed);
  }

  async control({ serverId }: Guest, what: GuestControl): Promise<void> {
    this.call(what, []);
    if (!this.running.has(serverId))
      throw new BindingError('guest.failed', 'no guest', { address: null, step: 'guest_act' });
  }

  async state({ serverId }: Guest): Promise<GuestState> {
    if (this.fails === 'state') this.call('state', []);
    return this.running.has(serverId) ? { state: 'running' } : { state: 'gone', message: 'it has shut down' };
  }

  private call(what: string, devices: readonly WireBinding[]): void {
    this.onCall();
    this.calls.push([what, ...devices.map(({ address }) => address)].join(' '));
    if (this.fails === null || !what.startsWith(this.fails)) return;
    this.failsFor -= 1;
    if (this.failsFor === 0) this.fails = null;
    throw new BindingError('guest.failed', `no ${what}`, { address: null, step: 'guest_start' });
  }
}
