import { Logger } from '@nestjs/common';
import type { AgentHolds, PrepareFailed } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import { noteLife, readLost, readOrphans } from '../store/agent-lives.store.js';
import type { Ledger } from '../store/ledger.js';
import { addToOutbox } from '../store/outbox.store.js';

const log = new Logger('HeldClaims');

/**
 * Brings ledger and host to agree, by what the agent says that it holds:
 *
 * - a claim that the ledger has closed, or never had (the host was removed meanwhile), is to be given back: a closed claim never
 *   lives again, so it does not matter how old the word is;
 * - a claim that the ledger has as allocated, that an earlier life prepared, and that is not held any more (its journal is lost), is
 *   lost to its server. One that was prepared in the same life may be younger than the list and is left alone.
 */
export async function settleHeld(
  told: AgentHolds,
  ledger: Ledger,
  lose: (outcome: PrepareFailed) => Promise<void>,
): Promise<void> {
  const lost = await ledger.transaction(async (tx) => {
    const isPresent = await noteLife(tx, told);
    const orphans = await readOrphans(tx, told);
    await addToOutbox(
      tx,
      orphans.map((body) => ({ queue: agentQueue(told.host), message: envelope('devices.release', { ...body }) })),
    );
    if (orphans.length > 0) log.warn({ message: 'agent holds closed claims', host: told.host, count: orphans.length });
    return isPresent ? readLost(tx, told) : [];
  });
  for (const claim of lost) await lose({ ...claim, ...faultOf(told) });
}

function faultOf({ host, epoch }: AgentHolds): Omit<PrepareFailed, 'claim_id' | 'server_id'> {
  const message = 'the agent does not hold the devices any more; was its state directory lost?';
  return { ...{ host, epoch, code: 'claim.lost', message }, address: null, step: null, errno: null };
}
