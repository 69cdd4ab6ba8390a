import type { Address } from '../pci/address.js';
import type { ReportedDevice } from '../pci/device.js';
import type { BindingStep } from './binding-error.js';

/**
 * What keeps a device from being bound or given back, for as long as it does:
 *
 * - `blocked`: the kernel, or the agent before it asks the kernel, waits until a program lets go of the device; it goes on by itself
 * - `refused`: the kernel did not take it from vfio; its claim stays `releasing` until that works
 * - `driverless`: it was given back, and no driver took it
 */
export interface BindingProblem {
  readonly address: Address;
  readonly claimId: string;
  readonly state: 'blocked' | 'refused' | 'driverless';
  readonly step: BindingStep;
  /** The system's name of the error; null: there was none. */
  readonly errno: string | null;
  /** Programs that have it open, as a text; null: none is known. */
  readonly heldBy: string | null;
  readonly remedy: string;
  /** When it began, milliseconds since 1970. */
  readonly since: number;
}

/** The problems of this host's devices now: reports show them, and commands do not wait for what is blocked. */
export class BindingProblems {
  private readonly known = new Map<Address, BindingProblem>();
  private readonly listeners = new Set<() => void>();

  of(address: Address): BindingProblem | null {
    return this.known.get(address) ?? null;
  }

  set(problem: BindingProblem): void {
    const before = this.known.get(problem.address);
    this.known.set(problem.address, problem);
    if (JSON.stringify(before) !== JSON.stringify(problem)) this.tell();
  }

  clear(address: Address): void {
    if (this.known.delete(address)) this.tell();
  }

  /** Of the claim, or of one of the devices, something is blocked; null: nothing is. */
  blocked(claimId: string, addresses: readonly Address[]): BindingProblem | null {
    for (const problem of this.known.values()) {
      const isMeant = problem.claimId === claimId || addresses.includes(problem.address);
      if (problem.state === 'blocked' && isMeant) return problem;
    }
    return null;
  }

  /** Calls back at every change; what it returns ends that. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** The devices with what is wrong with them; who has a driver again is not without one. */
export function withProblems(devices: readonly ReportedDevice[], problems: BindingProblems): readonly ReportedDevice[] {
  return devices.map((device) => {
    const problem = problems.of(device.address);
    if (problem === null) return device;
    if (problem.state === 'driverless' && device.driver !== null) {
      problems.clear(device.address);
      return device;
    }
    const { state, step, errno, heldBy, remedy, since } = problem;
    const cut = { heldBy: heldBy && heldBy.slice(0, 500), remedy: remedy.slice(0, 1000) };
    return { ...device, bindingProblem: { state, step, errno, ...cut, since: new Date(since).toISOString() } };
  });
}

/** What has to be done, by what one knows of who holds it. */
export function blockedRemedy(heldBy: string | null): string {
  return heldBy === null
    ? 'the kernel waits for whoever uses the device: end what uses it; see the kernel log (dmesg). It goes on by itself'
    : 'shut the guest down, or end the program, that holds it; it goes on by itself';
}
