import { Injectable, Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import type { AgentJournal, AgentReport, AgentStamp } from '../messages/bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { poolsOf } from '../pci/pool.js';
import { absorbJournal } from '../store/agent-journals.store.js';
import { renewReports } from '../store/host-leases.store.js';
import { absorbReport } from '../store/inventory.store.js';
import { Ledger } from '../store/ledger.js';

/** Reports that say nothing new are noted together. */
const BATCH_MS = 5;

interface Batch {
  /** The latest of each host. */
  readonly reports: Map<string, AgentStamp>;
  /** Hosts whose content the ledger has already. */
  readonly renewed: Promise<ReadonlySet<string>>;
}

/** Takes in what agents report. */
@Injectable()
export class InventoryService {
  private readonly log = new Logger(InventoryService.name);
  private batch: Batch | null = null;

  constructor(private readonly ledger: Ledger) {}

  /** @throws BerthError `message.invalid` when hash or pools are not those of the devices */
  async report(report: AgentReport): Promise<void> {
    assertHash(report);
    assertPools(report);
    if (await this.renewed(report)) {
      this.log.debug({ message: 'report has nothing new', host: report.host, epoch: report.epoch });
      return;
    }
    const absorbed = await this.ledger.transaction((tx) => absorbReport(tx, report));
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

  /** Whether the ledger has the report's content already, so that it only had to note that it came. */
  private async renewed(report: AgentReport): Promise<boolean> {
    this.batch ??= this.batchSoon();
    const batch = this.batch;
    const former = batch.reports.get(report.host);
    if (!former || isLater(report, former)) batch.reports.set(report.host, report);
    return (await batch.renewed).has(report.host);
  }

  private batchSoon(): Batch {
    const reports = new Map<string, AgentStamp>();
    const renew = async (): Promise<ReadonlySet<string>> => {
      await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
      this.batch = null; // who comes from now on is in the next one
      const stamps = [...reports.values()];
      return new Set(await this.ledger.transaction((tx) => renewReports(tx, stamps)));
    };
    return { reports, renewed: renew() };
  }
}

function isLater(a: AgentStamp, b: AgentStamp): boolean {
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
