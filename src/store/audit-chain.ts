import { createHash } from 'node:crypto';

/**
 * The chain of the audit.
 *
 *   start ──► entry 1 ──► entry 2 ──► … ──► head
 *
 * Each entry names the hash of the one before it and has one of its own over that and everything it says; so no entry can be
 * changed, removed, inserted or moved without the next one telling.
 */
export interface AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** UTC with microseconds: `2026-01-31T12:00:00.123456Z`. */
  readonly at: string;
  /** The process that wrote it. */
  readonly writer: string;
  /** JSON, to the letter. */
  readonly body: string;
  /** Ids of the devices, hosts and servers in the body, sorted. */
  readonly subjects: readonly string[];
  readonly previousHash: string;
  readonly hash: string;
}

/** A place in the chain: an entry and its hash. */
export interface AuditAnchor {
  readonly seq: number;
  readonly hash: string;
}

/** What the first entry of all names as the one before it. */
export const NOTHING_BEFORE: AuditAnchor = { seq: 0, hash: '0'.repeat(64) };

export type UnsealedEntry = Pick<AuditEntry, 'at' | 'writer' | 'body'>;

/** Links entries to the chain that ends at `head`. */
export function sealed(head: AuditAnchor, entries: readonly UnsealedEntry[]): AuditEntry[] {
  let { seq, hash } = head;
  return entries.map((entry) => {
    const linked = { ...entry, seq: ++seq, previousHash: hash };
    hash = entryHash(linked);
    return { ...linked, subjects: subjectsOf(entry.body), hash };
  });
}

/**
 * SHA-256, in hex, of five lines: hash of the entry before, number, time, writer, body. No line but the last can have a line
 * break in it, so no two entries have the same text.
 */
export function entryHash(entry: Pick<AuditEntry, 'seq' | 'at' | 'writer' | 'body' | 'previousHash'>): string {
  const { previousHash, seq, at, writer, body } = entry;
  return createHash('sha256').update(`${previousHash}\n${seq}\n${at}\n${writer}\n${body}`).digest('hex');
}

/** Whether the entry is as it was sealed, had it this number. */
export function isSealedAs(entry: AuditEntry, seq: number): boolean {
  return entryHash({ ...entry, seq }) === entry.hash;
}

/** Whether the entry is as it was sealed. What it is found by follows from its body, and is not part of the hash. */
export function isAsSealed(entry: AuditEntry): boolean {
  return isSealedAs(entry, entry.seq) && subjectsOf(entry.body).join() === entry.subjects.join();
}

const ID = /"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"/g;

/** All ids in a body, each once, sorted. */
export function subjectsOf(body: string): string[] {
  return [...new Set(Array.from(body.matchAll(ID), ([, id]) => id as string))].sort();
}
