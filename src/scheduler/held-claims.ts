import { Logger } from '@nestjs/common';
import type { AgentHolds } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import { noteLife, readMissed, readOrphans } from '../store/agent-lives.store.js';
import { sendPrepare } from '../store/claim-rows.store.js';
import type { Ledger } from '../store/ledger.js';
import { sendDeviceClaims } from '../store/device-claims.store.js';
import { addToOutbox } from '../store/outbox.store.js';
import { sendWishes } from '../store/sriov-wishes.store.js';

const log = new Logger('HeldClaims');

/**
 * Brings ledger and host to agree, by what the agent says that it holds:
 *
 * - a claim that the ledger has closed, or never had (the host was removed meanwhile), is to be given back: a closed claim never
 *   lives again, so it does not matter how old the word is;
 * - a claim that the ledger has as allocated, that an earlier life prepared, and that is not held any more (its journal is lost), is
 *   to be prepared again: the agent takes the devices over as they are, or says why it cannot, and then the server has lost them.
 *   One that was prepared in the same life may be younger than the list and is left alone.
 */
export function settleHeld(told: AgentHolds, ledger: Ledger): Promise<void> {
  const { host } = told;
  return ledger.transaction(async (tx) => {
    const isPresent = await noteLife(tx, told);
    const orphans = await readOrphans(tx, told);
    await addToOutbox(
      tx,
      orphans.map((body) => ({ queue: agentQueue(host), message: envelope('devices.release', { ...body }) })),
    );
    const missed = isPresent ? await readMissed(tx, told) : [];
    await sendPrepare(tx, missed);
    await sendWishes(tx, [host]);
    await sendDeviceClaims(tx, [host]);
    if (orphans.length > 0) log.warn({ message: 'agent holds closed claims', host, count: orphans.length });
    if (missed.length > 0) log.warn({ message: 'agent has lost claims', host, claims: missed });
  });
}
