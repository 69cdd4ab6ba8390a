import { Injectable, Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import type { AgentHeartbeat, AgentJournal, AgentReport, AgentStamp } from '../messages/bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { poolsOf } from '../pci/pool.js';
import { absorbJournal } from '../store/agent-journals.store.js';
import { absorbHeartbeats, absorbReport } from '../store/inventory.store.js';
import { Ledger } from '../store/ledger.js';
import { addToOutbox } from '../store/outbox.store.js';

/** Heartbeats are written together: one statement for all hosts that were heard of meanwhile. */
const HEARTBEAT_FLUSH_MS = 1_000;

/** Takes in what agents report. */
@Injectable()
export class InventoryService {
  private readonly log = new Logger(InventoryService.name);
  private readonly heard = new Map<string, AgentStamp>();
  private flushing: Promise<void> | null = null;

  constructor(private readonly ledger: Ledger) {}

  /** @throws BerthError `message.invalid` when hash or pools are not those of the devices */
  async report(report: AgentReport): Promise<void> {
    assertHash(report);
    assertPools(report);
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

  /** Resolves when the heartbeat is in the ledger. */
  async heartbeat(beat: AgentHeartbeat): Promise<void> {
    const known = this.heard.get(beat.host);
    if (!known || known.epoch <= beat.epoch) this.heard.set(beat.host, beat);
    this.flushing ??= this.flushSoon();
    await this.flushing;
  }

  private async flushSoon(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_FLUSH_MS));
    const beats = [...this.heard.values()];
    this.heard.clear();
    this.flushing = null; // who comes from now on is in the next one
    await this.ledger.transaction(async (tx) => {
      const unreported = await absorbHeartbeats(tx, beats);
      await addToOutbox(
        tx,
        unreported.map((host) => ({
          queue: agentQueue(host),
          message: envelope('report.request', { reason: 'the ledger does not have your last report' }),
        })),
      );
    });
  }
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
