import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import {
  SRIOV_MESSAGE_MAX,
  SRIOV_PFS_MAX,
  SRIOV_VFS_TOLD_MAX,
  type SetSriov,
  type WireSriovState,
  type WireSriovWish,
} from '../messages/sriov-bodies.js';
import { compareAddresses, type Address } from '../pci/address.js';
import { canonicalJson } from '../pci/canonical-json.js';
import { hostContext } from '../pci/device-spec/device-spec.js';
import { asUnbound, type PciDevice } from '../pci/device.js';
import { declarationOf, type SriovDeclaration } from '../pci/sriov/sriov-declaration.js';
import { readSriovTarget, type SriovTarget } from '../pci/sriov/sriov-target.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { IpProgram } from './ip-program.js';
import type { Journal } from './journal.js';
import type { KeyedQueue } from './keyed-queue.js';
import { settleVfCount, type CountHost } from './sriov-count.js';
import { settleVfSettings, type VfProblem } from './sriov-settings.js';
import { Passes } from './passes.js';
import type { SriovWishes } from './sriov-wishes.js';
import { listNames } from './sysfs-read.js';
import { timeLimited, type TimeLimitedWrites } from './time-limited-writes.js';
import { isBound, type BinderHost } from './vfio-binder.js';
import { vfAddresses } from './vf-guards.js';
import { vfsOf } from './vfio-binder-sriov.js';

const DEVICES_PER_TURN = 32;
/** A kernel that has refused is asked again after this, where no VF is lost by it. */
const RETRY_AFTER_MS = 600_000;

export interface SriovKeeperOptions {
  readonly binder: BinderHost;
  readonly readOnly: boolean;
  /** Shared with the commands: what works on a PF or its VFs waits for each other. */
  readonly queue: KeyedQueue;
  readonly wishes: SriovWishes;
  readonly declarations: () => readonly SriovDeclaration[];
  readonly ip: IpProgram;
  /** Of one write to sysfs. */
  readonly writeLimitMs?: number;
}

/** What shall be of one PF, and who says so. */
interface Wanted {
  readonly pf: PciDevice;
  /** null: it cannot be read. */
  readonly target: SriovTarget | null;
  /** The wish, which was for this card. */
  readonly wish: WireSriovWish | null;
  readonly said: Pick<WireSriovState, 'source' | 'revision' | 'where' | 'vf_count'>;
}

interface Outcome {
  readonly state: 'applied' | 'refused';
  readonly error: BindingError | null;
  readonly problems: readonly VfProblem[];
}

/** A change that the kernel refused, as matters stood then. */
interface Refusal {
  readonly key: string;
  readonly error: BindingError;
  readonly at: number;
}

/**
 * Keeps the VFs of this host as the ledger wishes, or else as the configuration declares them: at the start, when either changes, and
 * ever after. What is in the way is told and looked at again with each pass; nothing is waited for. Wishes that come meanwhile are one
 * more pass.
 */
export class SriovKeeper {
  private readonly told = new Map<Address, WireSriovState>();
  private readonly refusals = new Map<Address, Refusal>();
  private readonly taken = new Map<string, string>();
  private readonly writes: TimeLimitedWrites;
  /** Before claims are bound again: VFs of claims that a reboot has undone may go and come. */
  private isFirst = true;
  private readonly passes = new Passes(() => this.pass());
  private changed: () => void = () => undefined;

  constructor(private readonly options: SriovKeeperOptions) {
    this.writes = timeLimited(options.binder.write, options.writeLimitMs);
  }

  /** How it stands, in address order. Leaves out PFs of which nothing is said. */
  states(): readonly WireSriovState[] {
    return [...this.told.values()].sort((a, b) => compareAddresses(a.address, b.address));
  }

  /**
   * The first pass, before claims are bound again that want these VFs back. Making VFs takes some seconds; of writes that hang not
   * more than one is waited for: an agent that cannot make its VFs starts all the same, and says what is in the way.
   */
  async restore(): Promise<void> {
    if (await this.passes.runFirst()) return;
    this.options.binder.log('error', 'VFs are not as they shall be yet; the agent starts without them', {});
  }

  /** Looks at this interval from now on. @param changed VFs have come or gone, or an outcome is another */
  start(intervalMs: number, changed: () => void): void {
    this.changed = changed;
    this.passes.start(intervalMs);
  }

  /** Takes over what the ledger wishes. Resolves when it is done or refused. */
  async take(order: SetSriov): Promise<void> {
    const isNews = await this.options.wishes.take(order);
    await (isNews ? this.keepAnew() : this.keep());
  }

  /** {@link keep}, also where the kernel has refused before: somebody asks. */
  async keepAnew(): Promise<void> {
    this.refusals.clear();
    await this.keep();
  }

  /** Resolves after a pass that began after this call; each ends in bounded time. Never fails. */
  keep(): Promise<void> {
    return this.passes.run();
  }

  /** No more passes; resolves when the one under way has ended. */
  stop(): Promise<void> {
    return this.passes.stop();
  }

  private pass(): Promise<void> {
    return this.look()
      .catch((error: unknown) => {
        this.options.binder.log('error', 'VFs could not be looked at', { problem: messageOf(error) });
      })
      .finally(() => {
        this.isFirst = false;
      });
  }

  private async look(): Promise<void> {
    const wanted = await this.wanted();
    const gone = [...this.told.keys()].filter((address) => !wanted.some(({ pf }) => pf.address === address));
    for (const address of gone) this.told.delete(address);
    const wrote = await Promise.all(
      wanted.map((one) =>
        this.settleFree(one).catch((error: unknown) => this.tell(one, brokenBy(one.pf.address, error))),
      ),
    );
    if (gone.length > 0 || wrote.includes(true)) this.changed();
  }

  private async wanted(): Promise<Wanted[]> {
    const { wishes, binder } = this.options;
    const declarations = this.options.declarations();
    if (declarations.length === 0 && wishes.all().length === 0) return [];
    const originals = binder.journal.originals();
    const pfs = (await readPfs(binder.sysfsRoot)).map((pf) => {
      const original = originals.get(pf.address);
      return asUnbound(original ? { ...pf, original } : pf);
    });
    const context = hostContext(pfs);
    const all = pfs.flatMap((pf) => {
      const wish = wishes.of(pf.address);
      const declaration = wish ? null : declarationOf(declarations, pf, context);
      if (wish) return [wished(pf, wish)];
      return declaration ? [declared(pf, declaration)] : [];
    });
    return [...all, ...missing(wishes, pfs)].slice(0, SRIOV_PFS_MAX);
  }

  /** What has work under way is left to the next pass: a pass must not wait for a program that holds a VF. */
  private async settleFree(wanted: Wanted): Promise<boolean> {
    const { address } = wanted.pf;
    const keys = [address, ...vfAddresses(this.options.binder.sysfsRoot, address).values()];
    if (this.options.queue.isBusy(keys) || this.writes.isStuck(address)) return this.tellUnlessKnown(wanted);
    return this.options.queue.run(keys, async () => {
      const { wrote, ...outcome } = await this.settled(wanted);
      return this.tell(wanted, outcome) || wrote;
    });
  }

  private async settled({ pf, target, wish, said }: Wanted): Promise<Outcome & { readonly wrote: boolean }> {
    const { binder, ip } = this.options;
    const host = { ...binder, ip, write: this.writes.to(pf.address), vfHolders: this.vfHolders() };
    let wrote = false;
    try {
      if (target === null) throw unusable(pf.address, said.source);
      if (pf.sriov === null) throw refusal('device.missing', pf.address, 'no PF with VFs is there');
      if (wish && (wish.vendor_id !== pf.vendorId || wish.product_id !== pf.productId)) throw otherCard(pf, wish);
      if (this.options.readOnly)
        throw refusal('binding.refused', pf.address, 'this agent only looks: read_only is set');
      wrote = await this.counted(host, pf, target);
      const now = wrote ? (readDevice(host.sysfsRoot, pf.address).device ?? pf) : pf;
      const set = await settleVfSettings(host, now, target, this.taken);
      const isDone = set.problems.length === 0;
      return { state: isDone ? 'applied' : 'refused', error: null, problems: set.problems, wrote: wrote || set.wrote };
    } catch (error) {
      if (!(error instanceof BindingError)) throw error;
      return { state: 'refused', error, problems: [], wrote: wrote || error.step === 'sriov_numvfs' };
    }
  }

  /** A refusal of the kernel's is not asked for again and again: each time VFs may go and come. */
  private async counted(host: CountHost, pf: PciDevice, target: SriovTarget): Promise<boolean> {
    const { address, driver } = pf;
    const key = canonicalJson([target, driver, vfsOf(pf)]);
    const before = this.refusals.get(address);
    const isOld = before !== undefined && vfsOf(pf) === 0 && Date.now() - before.at >= RETRY_AFTER_MS;
    if (before?.key === key && !isOld) throw before.error;
    try {
      const wrote = await settleVfCount(host, pf, target);
      this.refusals.delete(address);
      if (wrote) for (const known of this.taken.keys()) if (known.startsWith(`${address}/`)) this.taken.delete(known);
      return wrote;
    } catch (error) {
      if (error instanceof BindingError && error.code === 'binding.failed') {
        const now = readDevice(host.sysfsRoot, address).device ?? pf;
        this.refusals.set(address, { key: canonicalJson([target, now.driver, vfsOf(now)]), error, at: Date.now() });
      }
      throw error;
    }
  }

  /** A claim that is prepared and not bound is bound again after the first pass. */
  private vfHolders(): Pick<Journal, 'holderOf'> {
    const { binder } = this.options;
    if (!this.isFirst) return binder.journal;
    return {
      holderOf: (address) => {
        const claim = binder.journal.holderOf(address);
        return claim?.state === 'prepared' && !isBound(binder, claim) ? null : claim;
      },
    };
  }

  /** Work on a VF is no news of the PF whose VFs are as they shall be. */
  private tellUnlessKnown(wanted: Wanted): boolean {
    const known = this.told.get(wanted.pf.address);
    const { source, revision, vf_count } = wanted.said;
    const isKnown = known?.source === source && known.revision === revision && known.vf_count === vf_count;
    return !isKnown && this.tell(wanted, underWay(wanted.pf.address));
  }

  /** @returns whether the outcome is another one */
  private tell({ pf, said }: Wanted, { state, error, problems }: Outcome): boolean {
    const { address } = pf;
    const next: WireSriovState = {
      address,
      ...said,
      state,
      step: error?.step ?? (problems.length > 0 ? 'vf_settings' : null),
      errno: error?.errno?.slice(0, 32) ?? null,
      message: (error?.message ?? summaryOf(problems))?.slice(0, SRIOV_MESSAGE_MAX) ?? null,
      vfs: problems.slice(0, SRIOV_VFS_TOLD_MAX).map((problem) => {
        return { ...problem, message: problem.message.slice(0, SRIOV_MESSAGE_MAX) };
      }),
    };
    if (canonicalJson(this.told.get(address) ?? null) === canonicalJson(next)) return false;
    this.told.set(address, next);
    const { log } = this.options.binder;
    const fields = { address, source: said.source, vfs: said.vf_count };
    if (state === 'applied') log('info', 'VFs are as they shall be', fields);
    else log('warn', 'VFs are not as they shall be', { ...fields, problem: next.message });
    return true;
  }
}

/** Of all functions, those that can have VFs; only these are read. */
async function readPfs(sysfsRoot: string): Promise<PciDevice[]> {
  const pfs: PciDevice[] = [];
  for (const [index, name] of listNames(join(sysfsRoot, PCI_DEVICES)).entries()) {
    if (index > 0 && index % DEVICES_PER_TURN === 0) await nextTurn();
    if (!existsSync(join(sysfsRoot, PCI_DEVICES, name, 'sriov_totalvfs'))) continue;
    const { device } = readDevice(sysfsRoot, name);
    if (device !== null && device.sriov !== null) pfs.push(device);
  }
  return pfs;
}

function wished(pf: PciDevice, wish: WireSriovWish): Wanted {
  const { revision, vf_count } = wish;
  const target = readSriovTarget({ ...wish }, () => undefined);
  return { pf, target, wish, said: { source: 'ledger', revision, vf_count } };
}

function declared(pf: PciDevice, { where, pf: _which, ...target }: SriovDeclaration): Wanted {
  return {
    pf,
    target,
    wish: null,
    said: { source: 'file', where: where.slice(0, SRIOV_MESSAGE_MAX), vf_count: target.vfCount },
  };
}

/** Of a PF that is not there nothing is known but its address. */
function missing(wishes: SriovWishes, pfs: readonly PciDevice[]): Wanted[] {
  const there = new Set(pfs.map(({ address }) => address));
  return wishes
    .all()
    .filter(({ address }) => !there.has(address))
    .map((wish) => wished({ address: wish.address, sriov: null } as PciDevice, wish));
}

/** A fault of one PF's directory is no matter of the others. */
function brokenBy(address: Address, cause: unknown): Outcome {
  const message = `${address}: ${messageOf(cause)}`;
  return {
    state: 'refused',
    error: new BindingError('binding.failed', message, { address, step: 'check', cause }),
    problems: [],
  };
}

function underWay(address: Address): Outcome {
  const what = 'work on it or on one of its VFs is under way; this is looked at again after it';
  return { state: 'refused', error: refusal('binding.refused', address, what), problems: [] };
}

function unusable(address: Address, source: string): BindingError {
  return refusal(
    'binding.refused',
    address,
    `what the ${source} says of its VFs cannot be read by this agent; update it`,
  );
}

function otherCard(
  { address, vendorId, productId }: PciDevice,
  { vendor_id, product_id }: WireSriovWish,
): BindingError {
  const what = `${vendorId}:${productId} sits there now, and the wish was for ${vendor_id}:${product_id}; say it again, or forget it`;
  return refusal('device.changed', address, what);
}

function refusal(
  code: 'device.missing' | 'device.changed' | 'binding.refused',
  address: Address,
  what: string,
): BindingError {
  return new BindingError(code, `${address}: ${what}`, { address, step: 'check' });
}

function summaryOf(problems: readonly VfProblem[]): string | null {
  const [first] = problems;
  if (!first) return null;
  const others = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
  return `VF ${first.vf}: ${first.message}${others}`;
}
