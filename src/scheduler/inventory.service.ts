import { Injectable, Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import type { AgentJournal, AgentReport } from '../messages/bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { DEFAULT_DRIFT_POLICIES, type DriftPolicies } from '../pci/drift.js';
import { poolsOf } from '../pci/pool.js';
import { absorbJournal } from '../store/agent-journals.store.js';
import { renewReports } from '../store/host-leases.store.js';
import { absorbReport, absorbReports, type Absorbed } from '../store/inventory.store.js';
import { Ledger } from '../store/ledger.js';

/** Reports that come in this time are taken in together. */
const BATCH_MS = 5;
/** Reports are large: so many are one transaction at most. */
const BATCH_MAX = 32;

type Outcome = Absorbed | { readonly outcome: 'renewed' };

interface Batch {
  /** The latest of each host. */
  readonly reports: Map<string, AgentReport>;
  /** By the hosts' names. */
  readonly done: Promise<ReadonlyMap<string, Outcome>>;
}

/** Takes in what agents report. */
@Injectable()
export class InventoryService {
  private readonly log = new Logger(InventoryService.name);
  /** The batch that takes reports; null: the next report begins one. */
  private open: Batch | null = null;
  private writing: Promise<unknown> = Promise.resolve();

  private readonly policies: DriftPolicies;

  constructor(
    private readonly ledger: Ledger,
    drift: Partial<DriftPolicies> = {},
  ) {
    this.policies = { ...DEFAULT_DRIFT_POLICIES, ...drift };
  }

  /** @throws BerthError `message.invalid` when hash or pools are not those of the devices */
  async report(report: AgentReport): Promise<void> {
    assertHash(report);
    assertPools(report);
    const absorbed = await this.takeIn(report);
    if (absorbed.outcome === 'renewed') {
      this.log.debug({ message: 'report has nothing new', host: report.host, epoch: report.epoch });
      return;
    }
    if (absorbed.outcome === 'ignored') {
      this.log.warn({ message: 'report ignored', host: report.host, why: absorbed.why, epoch: report.epoch });
      return;
    }
    const { added, changed, returned, vanished, withdrawn } = absorbed.reconciliation;
    this.log.log({
      message: 'report absorbed',
      host: report.host,
      added: added.length,
      changed: changed.length,
      returned: returned.length,
      vanished: vanished.length,
    });
    for (const address of withdrawn) {
      const message = 'a device in use is no longer offered; its server keeps it, nobody gets it afterwards';
      this.log.warn({ message, host: report.host, address });
    }
    for (const { address } of vanished.filter((entry) => entry.inUse)) {
      this.log.error({
        message: 'a device in use is not there any more; its allocation is kept',
        host: report.host,
        address,
      });
    }
  }

  /** What somebody asked for who compares it with the ledger. */
  async journal(journal: AgentJournal): Promise<void> {
    await absorbJournal(this.ledger.pool, journal);
  }

  private async takeIn(report: AgentReport): Promise<Outcome> {
    const open = this.open?.reports.size === BATCH_MAX ? null : this.open;
    const batch = (this.open = open ?? this.batchSoon());
    const former = batch.reports.get(report.host);
    if (!former || isLater(report, former)) batch.reports.set(report.host, report);
    try {
      return (await batch.done).get(report.host) as Outcome;
    } catch (error) {
      if (batch.reports.size === 1) throw error;
      // one that cannot be taken in does not hold up the others
      return this.ledger.transaction((tx) => absorbReport(tx, report, this.policies));
    }
  }

  /** A batch is written when the one before is: meanwhile more come, and one host's are taken in after each other. */
  private batchSoon(): Batch {
    const reports = new Map<string, AgentReport>();
    const write = async (before: Promise<unknown>): Promise<ReadonlyMap<string, Outcome>> => {
      await Promise.all([before.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, BATCH_MS))]);
      if (this.open?.reports === reports) this.open = null; // who comes from now on is in the next one
      return this.write([...reports.values()]);
    };
    const batch = { reports, done: write(this.writing) };
    this.writing = batch.done;
    return batch;
  }

  private async write(reports: readonly AgentReport[]): Promise<ReadonlyMap<string, Outcome>> {
    const renewed = new Set(await this.ledger.transaction((tx) => renewReports(tx, reports)));
    const news = reports.filter(({ host }) => !renewed.has(host));
    const absorbed =
      news.length === 0 ? [] : await this.ledger.transaction((tx) => absorbReports(tx, news, this.policies));
    return new Map<string, Outcome>([
      ...[...renewed].map((host) => [host, { outcome: 'renewed' }] as const),
      ...absorbed,
    ]);
  }
}

function isLater(a: AgentReport, b: AgentReport): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence);
}

function assertHash(report: AgentReport): void {
  if (contentHash({ facts: report.facts, devices: report.devices }) !== report.hash) {
    throw new BerthError('message.invalid', `agent.report of ${report.host}: the hash is not that of its content`);
  }
}

/** Agent and scheduler form pools by one function; a difference means two versions of Berth that do not fit. */
function assertPools(report: AgentReport): void {
  const own = poolsOf(report.devices.map(fromWireDevice)).map(({ key, count }) => ({ key, count }));
  const theirs = report.pools.map(({ key, count }) => ({ key, count }));
  if (contentHash(own) !== contentHash(theirs)) {
    throw new BerthError('message.invalid', `agent.report of ${report.host}: the pools are not those of its devices`);
  }
}
