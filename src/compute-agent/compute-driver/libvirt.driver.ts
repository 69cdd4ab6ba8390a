import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { WireBinding } from '../../messages/bodies.js';
import { libvirtHostdev } from '../../pci/attachment.js';
import type { Address } from '../../pci/address.js';
import type { GuestSettings } from '../../settings/settings.js';
import { BindingError, type BindingStep } from '../binding-error.js';
import { runProgram } from '../kernel-programs.js';
import type { ComputeDriver, Guest, GuestControl, GuestState } from './compute-driver.js';
import { accelOf } from './guest-accel.js';
import { assertSize, imageOf } from './guest-image.js';
import { domainXml } from './libvirt-domain.js';

const CALL_MS = 60_000;
const POLL_MS = 500;
const DESTROY_MS = 20_000;
const XML_MAX = 4 * 1024 * 1024;
const VIRSH_WORDS: Readonly<Record<GuestControl, string>> = { pause: 'suspend', resume: 'resume', reset: 'reset' };

export interface LibvirtDriverOptions {
  readonly stateDir: string;
  readonly settings: GuestSettings;
  readonly libvirt: { readonly uri: string };
}

/** Guests as libvirt's domains, by `virsh`: a program run for each call, without a shell and with a time limit. */
export class LibvirtDriver implements ComputeDriver {
  readonly name = 'libvirt';

  constructor(private readonly options: LibvirtDriverOptions) {}

  async start(guest: Guest): Promise<void> {
    const { settings } = this.options;
    await this.step('guest_start', async () => {
      if (isUp(await this.domainState(guest))) return;
      assertSize(guest, settings);
      const plan = { guest, settings, accel: accelOf(settings), image: imageOf(guest, settings) };
      await this.withFile(guest, 'domain', domainXml(plan), (file) => this.virsh(['define', file]));
      await this.virsh(['start', guest.serverId], settings.startTimeoutMs);
    });
  }

  async stop(guest: Guest, how: 'gently' | 'at once' = 'gently'): Promise<void> {
    await this.step('guest_stop', async () => {
      let state = await this.domainState(guest);
      if (isUp(state) && how === 'gently') {
        // A guest that does not take it is ended all the same.
        await this.virsh(['shutdown', guest.serverId]).catch(() => undefined);
        state = await this.downWithin(guest, this.options.settings.stopTimeoutMs);
      }
      if (isUp(state)) {
        // It may have ended in between; its state says.
        const refusal = await this.virsh(['destroy', guest.serverId]).then(() => '', messageOf);
        state = await this.downWithin(guest, DESTROY_MS);
        if (isUp(state)) throw new Error(`it does not end, even destroyed: ${refusal}`);
      }
      if (state !== null) await this.virsh(['undefine', guest.serverId]);
      await rm(this.directoryOf(guest), { recursive: true, force: true });
    });
  }

  async attach(guest: Guest, added: readonly WireBinding[]): Promise<void> {
    await this.step('guest_attach', async () => {
      const present = await this.hostdevs(guest);
      for (const { address } of added) {
        if (!present.has(address)) await this.change(guest, 'attach-device', address);
      }
    });
  }

  async detach(guest: Guest, removed: readonly WireBinding[]): Promise<void> {
    await this.step('guest_detach', async () => {
      if (!isUp(await this.domainState(guest))) return;
      const present = await this.hostdevs(guest);
      const gone = removed.filter(({ address }) => present.has(address));
      for (const { address } of gone) await this.change(guest, 'detach-device', address);
      // libvirt itself waits some seconds only, and says nothing of it.
      const deadline = Date.now() + this.options.settings.stopTimeoutMs;
      for (;;) {
        const left = await this.hostdevs(guest);
        const stuck = gone.find(({ address }) => left.has(address));
        if (!stuck) return;
        if (Date.now() >= deadline) throw new Error(`it has not let go of ${stuck.address}`);
        await delay(POLL_MS);
      }
    });
  }

  async control(guest: Guest, what: GuestControl): Promise<void> {
    await this.step('guest_act', async () => {
      const isPaused = (await this.domainState(guest))?.startsWith('paused') === true;
      // virsh calls it an error when there is nothing to do
      if ((what === 'pause' && isPaused) || (what === 'resume' && !isPaused)) return;
      await this.virsh([VIRSH_WORDS[what], guest.serverId]);
    });
  }

  async state(guest: Guest): Promise<GuestState> {
    const state = await this.domainState(guest);
    if (isUp(state)) return { state: 'running' };
    return { state: 'gone', message: state === null ? 'libvirt does not know it any more' : `libvirt says: ${state}` };
  }

  /** E.g. `running (booted)`; null: there is no such domain. @throws Error when libvirt does not answer */
  private async domainState({ serverId }: Guest): Promise<string | null> {
    try {
      return (await this.virsh(['domstate', '--reason', serverId])).trim();
    } catch (error) {
      if (/failed to get domain|Domain not found/.test(messageOf(error))) return null;
      throw error;
    }
  }

  private async downWithin(guest: Guest, ms: number): Promise<string | null> {
    const deadline = Date.now() + ms;
    for (;;) {
      const state = await this.domainState(guest);
      if (!isUp(state) || Date.now() >= deadline) return state;
      await delay(POLL_MS);
    }
  }

  /** Addresses of the devices that a running guest has. */
  private async hostdevs({ serverId }: Guest): Promise<Set<Address>> {
    return hostdevsIn(await this.virsh(['dumpxml', serverId]));
  }

  private async change(guest: Guest, command: 'attach-device' | 'detach-device', address: Address): Promise<void> {
    await this.withFile(guest, 'device', libvirtHostdev(address), (file) =>
      this.virsh([command, guest.serverId, file, '--live']),
    );
  }

  /** virsh reads XML from files only. */
  private async withFile(
    guest: Guest,
    name: string,
    xml: string,
    use: (file: string) => Promise<unknown>,
  ): Promise<void> {
    const directory = this.directoryOf(guest);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = join(directory, `${name}.xml`);
    await writeFile(file, xml, { mode: 0o600 });
    await use(file);
  }

  private async virsh(words: readonly string[], timeoutMs = CALL_MS): Promise<string> {
    const all = ['--quiet', '-c', this.options.libvirt.uri, ...words];
    const { code, output, problem } = await runProgram('virsh', all, { timeoutMs, outputMax: XML_MAX });
    if (code === 0) return output;
    throw new Error(`virsh ${words[0]}: ${problem.replaceAll(/\s*\n\s*/g, '; ').slice(0, 600) || 'it failed'}`);
  }

  private async step(step: BindingStep, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof BindingError) throw error;
      throw new BindingError('guest.failed', `The guest: ${messageOf(error)}`, { address: null, step, cause: error });
    }
  }

  private directoryOf({ serverId }: Guest): string {
    return join(this.options.stateDir, 'guests', serverId);
  }
}

function isUp(state: string | null): boolean {
  return state !== null && !/^(?:shut off|crashed|no state)/.test(state);
}

/** Of libvirt's own XML, where an address is written with `0x` and leading zeros. */
export function hostdevsIn(xml: string): Set<Address> {
  const found = new Set<Address>();
  for (const [, hostdev = ''] of xml.matchAll(/<hostdev\b([\s\S]*?)<\/hostdev>/g)) {
    const source = /<source\b[^>]*>([\s\S]*?)<\/source>/.exec(hostdev)?.[1] ?? '';
    const part = (name: string): number =>
      Number(new RegExp(`\\b${name}=['"](0x[0-9a-f]+)['"]`).exec(source)?.[1] ?? NaN);
    const [domain, bus, slot, fn] = ['domain', 'bus', 'slot', 'function'].map(part) as [number, number, number, number];
    if (![domain, bus, slot, fn].every(Number.isInteger)) continue;
    const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
    found.add(`${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${fn}`);
  }
  return found;
}
