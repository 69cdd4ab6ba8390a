import { isAsSealed, isSealedAs, type AuditAnchor, type AuditEntry } from './audit-chain.js';

/** The chain as it is kept now; in memory, or in the ledger. */
export interface ChainReader {
  /** Entries after this number, in order; none: there are no more. */
  readonly after: (seq: number) => Promise<readonly AuditEntry[]>;
  /** Entries whose own hash, or the hash of the one before them, is this one. Only asked of a broken chain. */
  readonly having: (field: 'hash' | 'previousHash', value: string) => Promise<readonly AuditEntry[]>;
  /** What was pruned last. */
  readonly start: AuditAnchor;
  /** What was sealed last. */
  readonly head: AuditAnchor;
}

/**
 * `changed`: not what was sealed. `missing`: removed. `inserted`: never sealed. `reordered`: it stands elsewhere. `cut`: the
 * end is missing. `rewritten`: the chain is whole, but not the one of the anchor.
 */
export type BreakKind = 'changed' | 'missing' | 'inserted' | 'reordered' | 'cut' | 'rewritten';

export interface ChainBreak {
  readonly kind: BreakKind;
  /** The first entry that is not as it was. */
  readonly seq: number;
}

export interface CheckedChain {
  /** How many entries are as they were sealed, from where checking began. */
  readonly entries: number;
  /** null: the chain is whole. */
  readonly broken: ChainBreak | null;
  /** The last entry that is as it was sealed. */
  readonly last: AuditAnchor;
}

/**
 * Checks a chain, with as much memory as one page of it takes.
 *
 * @param from what checking begins after: the start, or an entry that is taken on trust
 * @param anchor what somebody kept elsewhere; not before `from`
 */
export async function checkChain(
  reader: ChainReader,
  from: AuditAnchor,
  anchor: AuditAnchor | null,
): Promise<CheckedChain> {
  let last = from;
  let before: AuditEntry | null = null;
  const end = (broken: ChainBreak | null): CheckedChain => ({ entries: last.seq - from.seq, broken, last });
  if (isOther(anchor, last)) return end({ kind: 'rewritten', seq: last.seq });
  for (let page = await reader.after(last.seq); page.length > 0; page = await reader.after(last.seq)) {
    for (const entry of page) {
      if (entry.seq > reader.head.seq && last.seq === reader.head.seq) break;
      if (!follows(entry, last)) return end(await diagnose(reader, { last, before, entry }));
      if (isOther(anchor, entry)) return end({ kind: 'rewritten', seq: entry.seq });
      [last, before] = [{ seq: entry.seq, hash: entry.hash }, entry];
    }
    if (last.seq === reader.head.seq) break;
  }
  return end(await checkEnd(reader, last, anchor));
}

function follows(entry: AuditEntry, last: AuditAnchor): boolean {
  return entry.seq === last.seq + 1 && entry.previousHash === last.hash && isAsSealed(entry);
}

function isOther(anchor: AuditAnchor | null, place: AuditAnchor): boolean {
  return anchor?.seq === place.seq && anchor.hash !== place.hash;
}

/** Everything there is follows; is it all there was? */
async function checkEnd(
  reader: ChainReader,
  last: AuditAnchor,
  anchor: AuditAnchor | null,
): Promise<ChainBreak | null> {
  const { head } = reader;
  if (last.seq < head.seq) return { kind: 'cut', seq: last.seq + 1 };
  if (last.hash !== head.hash) return { kind: 'changed', seq: head.seq };
  const [more] = await reader.after(head.seq);
  if (more) return { kind: 'inserted', seq: more.seq };
  if (anchor !== null && anchor.seq > last.seq) return { kind: 'cut', seq: last.seq + 1 };
  return null;
}

interface Doubt {
  readonly last: AuditAnchor;
  /** The entry that `last` is the place of; null: checking begins there. */
  readonly before: AuditEntry | null;
  /** The first one that does not follow. */
  readonly entry: AuditEntry;
}

/** What was done to a chain, by what is left of it. Where several things were done it is a good guess; that it is broken is none. */
async function diagnose(reader: ChainReader, { last, before, entry }: Doubt): Promise<ChainBreak> {
  const seq = last.seq + 1;
  const rightful = (await reader.having('previousHash', last.hash)).find(
    (other) => other.seq !== seq && isSealedAs(other, seq) && other.hash !== before?.hash,
  );
  if (entry.seq !== seq) return { kind: rightful ? 'reordered' : 'missing', seq };
  // two that name the same one before them: the former was put between
  if (entry.previousHash === before?.previousHash && (isSealedAs(entry, seq) || isSealedAs(entry, last.seq))) {
    return { kind: 'inserted', seq: last.seq };
  }
  const home = await homeOf(reader, entry);
  if (rightful) return { kind: home === null || home === seq ? 'inserted' : 'reordered', seq };
  if (home === seq && entry.previousHash !== last.hash) return changedOf(reader, last, entry);
  return { kind: home !== null && home > seq ? 'missing' : 'changed', seq };
}

/** An entry is sound and does not follow: either it was sealed anew, or the one before it was. */
async function changedOf(reader: ChainReader, last: AuditAnchor, entry: AuditEntry): Promise<ChainBreak> {
  const [next] = await reader.after(entry.seq);
  const isKnown = (next?.previousHash ?? reader.head.hash) === entry.hash;
  return { kind: 'changed', seq: isKnown ? last.seq : entry.seq };
}

const NEAR_BY = 200;

/** The number that an entry was sealed with: near by, or after the one that it names as before it; null: none. */
async function homeOf(reader: ChainReader, entry: AuditEntry): Promise<number | null> {
  for (let distance = 0; distance <= NEAR_BY; distance++) {
    if (isSealedAs(entry, entry.seq + distance)) return entry.seq + distance;
    if (isSealedAs(entry, entry.seq - distance)) return entry.seq - distance;
  }
  const [named] = await reader.having('hash', entry.previousHash);
  return named !== undefined && isSealedAs(entry, named.seq + 1) ? named.seq + 1 : null;
}
