import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJournal, type ClaimRecord } from '../../src/compute-agent/journal-state.js';
import { attach, detach } from '../../src/compute-agent/simulated-kernel-drivers.js';
import { SimulatedTree } from '../../src/compute-agent/simulated-kernel-tree.js';
import { errnoError, type SysfsWrite } from '../../src/compute-agent/kernel.js';
import { simulatedKernel } from '../../src/compute-agent/simulated-kernel.js';
import * as cards from '../../src/recorded-hosts/cards.js';
import { bridge, device, type RootDescription, type SlotDescription } from '../../src/recorded-hosts/description.js';
import { generateHost } from '../../src/recorded-hosts/generator.js';
import type { HostTree } from '../../src/recorded-hosts/tree.js';
import { hostAt } from '../support/hosts.js';

const port = (at: number, bus: number, ...children: SlotDescription[]): SlotDescription =>
  bridge(`0${at}.0`, cards.ROOT_PORT, bus, children);
const gpu = (at: number, bus: number): SlotDescription => port(at, bus, device('00.0', cards.P5000));
const gpuWithSound = (at: number, bus: number): SlotDescription =>
  port(at, bus, device('00.0', cards.P5000), device('00.1', cards.P5000_AUDIO));
const nic = (at: number, bus: number, vfs: number): SlotDescription =>
  port(at, bus, device('00.0', cards.X710, { vfs }));

/** Two GPUs behind a switch whose port cannot keep them apart: one IOMMU group. */
const pair = (at: number, bus: number): SlotDescription => {
  const ports = [0, 1].map((slot) =>
    bridge(`0${slot}.0`, cards.SWITCH_DOWNSTREAM, bus + 2 + slot, [device('00.0', cards.V100)]),
  );
  return bridge(`0${at}.0`, cards.ROOT_PORT_WITHOUT_ACS, bus, [bridge('00.0', cards.SWITCH_UPSTREAM, bus + 1, ports)]);
};

/** What hosts may have: GPUs alone, with a companion in their IOMMU group, in pairs, and NICs with VFs. */
const SHAPES: readonly (readonly SlotDescription[])[] = [
  [gpu(0, 0x41), gpu(1, 0x42), gpu(2, 0x43)],
  [gpuWithSound(0, 0x41), gpu(1, 0x42)],
  [nic(0, 0x41, 3), gpu(1, 0x42)],
  [pair(0, 0x41), gpuWithSound(1, 0x48)],
  [nic(0, 0x41, 2), nic(1, 0x48, 0)],
];
export const SHAPE_COUNT = SHAPES.length;

/** So little that servers fill it. */
export const HOST_VCPUS = 8;
const trees = new Map<number, HostTree>();

function treeOf(shape: number): HostTree {
  const known = trees.get(shape);
  if (known) return known;
  const roots: RootDescription[] = [{ bus: 0x40, numaNode: 0, children: SHAPES[shape] ?? [] }];
  const numaNodes = [{ cpus: `0-${HOST_VCPUS - 1}`, memoryMb: 16_384, socket: 0 }];
  const tree = generateHost({ name: `shape-${shape}`, numaNodes, iommu: true, roots, defaultRoute: null });
  trees.set(shape, tree);
  return tree;
}

/** A machine with its kernel: it goes on while agents on it come and go. */
export class Machine {
  /** A write that the seed lets fail answers its errno; null: none. */
  refusal: ((path: string, value: string) => string | null) | null = null;
  private readonly originals: ReadonlyMap<string, string | null>;
  private readonly gone = new Set<string>();
  /** Devices whose return to the host the kernel has refused: what becomes of them is told to the operator. */
  readonly excused = new Set<string>();
  /** Devices whose reset the kernel has refused: they are quarantined. */
  readonly unreset = new Set<string>();

  private constructor(
    readonly name: string,
    readonly directory: string,
    readonly sysfs: string,
    readonly proc: string,
    private readonly kernel: SysfsWrite,
    private readonly tree: SimulatedTree,
  ) {
    this.originals = new Map(tree.addresses().map((address) => [address, tree.device(address)?.driver ?? null]));
  }

  static async build(name: string, directory: string, shape: number): Promise<Machine> {
    const { sysfs, proc } = await hostAt(directory, treeOf(shape));
    const kernel = simulatedKernel(sysfs);
    await kernel('bus/pci/drivers_autoprobe', '1'); // the kernel settles its tree with the first write
    return new Machine(name, directory, sysfs, proc, kernel, SimulatedTree.open(sysfs));
  }

  get stateDir(): string {
    return join(this.directory, 'state');
  }

  async write(path: string, value: string): Promise<void> {
    const errno = this.refusal?.(path, value) ?? null;
    if (errno === null) return this.kernel(path, value);
    this.excuse(path, value);
    throw errnoError(errno, 'the seed says no', path);
  }

  /** A card, with all its functions, that may be pulled; null when there is none. */
  pullable(choose: (slots: readonly string[]) => string | undefined): string | null {
    const slots = this.tree
      .addresses()
      .filter((address) => this.originals.has(address) && this.isPlain(address))
      .map((address) => address.slice(0, -1));
    return choose([...new Set(slots)]) ?? null;
  }

  pulled(): readonly string[] {
    return [...new Set([...this.gone].map((address) => address.slice(0, -1)))];
  }

  /** Surprise removal: the drivers lose the functions, and sysfs forgets them. */
  pull(slot: string): void {
    for (const address of this.tree.addresses().filter((name) => name.startsWith(slot))) {
      const found = this.tree.device(address);
      if (!found) continue;
      detach(this.tree, found);
      this.tree.write(`${found.directory}/driver_override`, '(null)\n');
      this.tree.remove(`bus/pci/devices/${address}`);
      if (found.iommuGroup !== null) this.tree.remove(`kernel/iommu_groups/${found.iommuGroup}/devices/${address}`);
      this.directories.set(address, found.directory);
      this.gone.add(address);
    }
  }

  /** The card is put back; its drivers take its functions. */
  putBack(slot: string): void {
    for (const address of [...this.gone].filter((name) => name.startsWith(slot))) {
      const directory = this.directories.get(address);
      if (directory === undefined) continue;
      this.tree.link(`bus/pci/devices/${address}`, directory);
      const group = this.tree.device(address)?.iommuGroup ?? null;
      if (group !== null) this.tree.link(`kernel/iommu_groups/${group}/devices/${address}`, directory);
      const found = this.tree.device(address);
      const driver = this.originals.get(address) ?? null;
      if (found && driver !== null) attach(this.tree, found, driver);
      this.gone.delete(address);
    }
  }

  /** What the agent's journal holds now. */
  get journal(): readonly ClaimRecord[] {
    if (!existsSync(join(this.stateDir, 'journal.json'))) return [];
    const { state, problem } = readJournal(readFileSync(join(this.stateDir, 'journal.json'), 'utf8'));
    if (!state) throw new Error(`journal of ${this.name}: ${problem}`);
    return state.claims;
  }

  /** Devices as they were at first, and as they are; `held` are left out, and what the kernel itself has refused. */
  notAsBefore(held: ReadonlySet<string>): string[] {
    return [...this.originals].flatMap(([address, driver]) => {
      if (held.has(address) || this.excused.has(address)) return [];
      const found = this.tree.device(address);
      const parent = this.parents.get(address);
      if (!found && parent !== undefined && held.has(parent)) return [];
      if (!found) return [`${this.name} ${address} is not there any more`];
      if (found.driver === driver && found.driverOverride === null) return [];
      return [`${this.name} ${address}: driver ${found.driver}, override ${found.driverOverride}; at first ${driver}`];
    });
  }

  driverOf(address: string): string | null {
    return this.tree.device(address)?.driver ?? null;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private readonly directories = new Map<string, string>();
  private get parents(): ReadonlyMap<string, string> {
    const pfs = [...this.originals.keys()].filter((address) => address.endsWith(':00.0'));
    const vfs = [...this.originals.keys()].filter((address) => !address.endsWith('.0') || !pfs.includes(address));
    return new Map(vfs.flatMap((vf) => pfs.filter((pf) => pf.slice(0, 7) === vf.slice(0, 7)).map((pf) => [vf, pf])));
  }

  /** Neither a PF nor a VF nor a bridge. */
  private isPlain(address: string): boolean {
    const found = this.tree.device(address);
    if (!found || found.isVirtual || found.classCode.startsWith('06')) return false;
    return !this.tree.exists(`${found.directory}/sriov_totalvfs`);
  }

  /** A device that the kernel does not take back stays as it is, and VFs that it does not make again are not there. */
  private excuse(path: string, value: string): void {
    const unreset = /([0-9a-f:]+\.[0-7])\/reset$/.exec(path)?.[1];
    if (unreset !== undefined) {
      this.unreset.add(unreset);
      return;
    }
    const address = path.endsWith('drivers_probe') ? value : /([0-9a-f:]+\.[0-7])\/sriov_numvfs$/.exec(path)?.[1];
    if (address === undefined || this.tree.device(address)?.driverOverride === 'vfio-pci') return;
    this.excused.add(address);
    for (const [vf, pf] of this.parents) if (pf === address) this.excused.add(vf);
  }
}
