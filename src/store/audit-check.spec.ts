import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryHash, NOTHING_BEFORE, sealed, type AuditAnchor, type AuditEntry } from './audit-chain.js';
import { checkChain, type ChainBreak, type ChainReader } from './audit-check.js';

const PAGE = 3;

/** A chain in memory, as a table ordered by number would have it. */
function readerOf(entries: readonly AuditEntry[], head: AuditAnchor, start = NOTHING_BEFORE): ChainReader {
  const ordered = [...entries].sort((a, b) => a.seq - b.seq);
  return {
    ...{ start, head },
    after: async (seq) => ordered.filter((entry) => entry.seq > seq).slice(0, PAGE),
    having: async (field, value) => ordered.filter((entry) => entry[field] === value),
  };
}

const id = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

function chain(length: number, start = NOTHING_BEFORE): AuditEntry[] {
  const entries = Array.from({ length }, (_, index) => ({
    at: `2026-01-31T12:00:00.${String(index).padStart(6, '0')}Z`,
    ...{ writer: 'ctl:1', body: JSON.stringify({ kind: 'admin', action: 'test', device_id: id(index) }) },
  }));
  return sealed(start, entries);
}

const headOf = (entries: readonly AuditEntry[]): AuditAnchor => entries.at(-1) ?? NOTHING_BEFORE;

async function brokenAt(left: readonly AuditEntry[], sealedEntries: readonly AuditEntry[]): Promise<ChainBreak | null> {
  const { broken } = await checkChain(readerOf(left, headOf(sealedEntries)), NOTHING_BEFORE, null);
  return broken;
}

/** What a forger who knows the rules makes of an entry. */
function forged(entry: AuditEntry, differing: Partial<AuditEntry>): AuditEntry {
  const changed = { ...entry, ...differing };
  return { ...changed, hash: entryHash(changed) };
}

const TEN = chain(10);
const at = (seq: number): AuditEntry => TEN[seq - 1] as AuditEntry;
const replaced = (seq: number, entry: AuditEntry): AuditEntry[] => TEN.map((old) => (old.seq === seq ? entry : old));
const renumbered = (entries: readonly AuditEntry[], by: number): AuditEntry[] =>
  entries.map((entry) => ({ ...entry, seq: entry.seq + by }));

describe('the text of which the hash is', () => {
  it('is five lines: hash before, number, time, writer, body', () => {
    const entry = { previousHash: 'ab', seq: 7, at: '2026-01-31T12:00:00.000001Z', writer: 'ctl:1', body: '{"a":\n1}' };
    // printf 'ab\n7\n2026-01-31T12:00:00.000001Z\nctl:1\n{"a":\n1}' | sha256sum
    expect(entryHash(entry)).toBe('712a0f0bebe0e8f951a7ccbedba47e0388257003612f228cf883bd498dbe2d0a');
  });

  it('is found by the ids in the body, each once', () => {
    const body = JSON.stringify({ a: id(2), b: [id(1), id(2)], reason: `not "${id(3)}"`, hash: 'f'.repeat(64) });
    expect(sealed(NOTHING_BEFORE, [{ at: '', writer: '', body }])[0]?.subjects).toEqual([id(1), id(2)]);
  });
});

describe('a chain that is whole', () => {
  it.each([0, 1, 2, 3, 4, 10])('of %d entries is found so', async (length) => {
    const entries = chain(length);
    const checked = await checkChain(readerOf(entries, headOf(entries)), NOTHING_BEFORE, null);
    expect(checked).toMatchObject({ entries: length, broken: null, last: { seq: length } });
  });

  it('is checked from where it was pruned, from any entry, and against any anchor', async () => {
    const reader = readerOf(TEN.slice(4), headOf(TEN), at(4));
    expect(await checkChain(reader, reader.start, at(4))).toMatchObject({ entries: 6, broken: null });
    expect(await checkChain(reader, at(8), at(9))).toMatchObject({ entries: 2, broken: null });
    expect(await checkChain(reader, at(10), at(10))).toMatchObject({ entries: 0, broken: null });
  });
});

describe('one thing was done to a chain', () => {
  const PLAIN: [string, AuditEntry[], ChainBreak][] = [
    ['a body', replaced(4, { ...at(4), body: at(5).body }), { kind: 'changed', seq: 4 }],
    ['a time', replaced(4, { ...at(4), at: at(5).at }), { kind: 'changed', seq: 4 }],
    ['a writer', replaced(1, { ...at(1), writer: 'other:1' }), { kind: 'changed', seq: 1 }],
    ['what it is found by', replaced(4, { ...at(4), subjects: [] }), { kind: 'changed', seq: 4 }],
    ['a hash', replaced(10, { ...at(10), hash: at(9).hash }), { kind: 'changed', seq: 10 }],
    ['the hash of the one before', replaced(4, { ...at(4), previousHash: at(4).hash }), { kind: 'changed', seq: 4 }],
    ['a body, with a new hash', replaced(4, forged(at(4), { body: '{}' })), { kind: 'changed', seq: 4 }],
    ['the last body, with a new hash', replaced(10, forged(at(10), { body: '{}' })), { kind: 'changed', seq: 10 }],
    ['an entry, for a copy of another', replaced(4, { ...at(2), seq: 4 }), { kind: 'changed', seq: 4 }],
    ['a removed one', TEN.filter(({ seq }) => seq !== 4), { kind: 'missing', seq: 4 }],
    ['the first, removed', TEN.slice(1), { kind: 'missing', seq: 1 }],
    ['the last, removed', TEN.slice(0, 9), { kind: 'cut', seq: 10 }],
    ['the end, removed', TEN.slice(0, 6), { kind: 'cut', seq: 7 }],
    ['all, removed', [], { kind: 'cut', seq: 1 }],
    [
      'a removed one, the others moved up',
      [...TEN.slice(0, 3), ...renumbered(TEN.slice(4), -1)],
      { kind: 'missing', seq: 4 },
    ],
    [
      'two that changed places',
      TEN.map((entry) => (entry.seq === 3 ? { ...at(8), seq: 3 } : entry.seq === 8 ? { ...at(3), seq: 8 } : entry)),
      { kind: 'reordered', seq: 3 },
    ],
    [
      'neighbours that changed places',
      TEN.map((entry) => (entry.seq === 3 ? { ...at(4), seq: 3 } : entry.seq === 4 ? { ...at(3), seq: 4 } : entry)),
      { kind: 'reordered', seq: 3 },
    ],
    ['one that was put to the end', replaced(4, { ...at(4), seq: 11 }), { kind: 'reordered', seq: 4 }],
    [
      'one put between, the others moved down',
      [...TEN.slice(0, 3), forged(at(4), { body: '{}' }), ...renumbered(TEN.slice(3), 1)],
      { kind: 'inserted', seq: 4 },
    ],
    [
      'nonsense put between, the others moved down',
      [...TEN.slice(0, 3), { ...at(4), body: '{}' }, ...renumbered(TEN.slice(3), 1)],
      { kind: 'inserted', seq: 4 },
    ],
    [
      'one put behind the end',
      [...TEN, forged(at(10), { seq: 11, previousHash: at(10).hash })],
      { kind: 'inserted', seq: 11 },
    ],
  ];

  it.each(PLAIN)('%s is found and named', async (_what, left, expected) => {
    expect(await brokenAt(left, TEN)).toEqual(expected);
  });

  it('two far apart that changed places are found and named', async () => {
    const long = chain(1000);
    const swapped = long.map((entry) => {
      return entry.seq === 3
        ? { ...(long[899] as AuditEntry), seq: 3 }
        : entry.seq === 900
          ? { ...(long[2] as AuditEntry), seq: 900 }
          : entry;
    });
    expect(await brokenAt(swapped, long)).toEqual({ kind: 'reordered', seq: 3 });
  });

  it('one put behind the end is found also after others were sealed behind that', async () => {
    const stranger = forged(at(10), { seq: 11, previousHash: at(10).hash });
    const later = sealed({ seq: 11, hash: at(10).hash }, [at(1), at(2)]);
    expect(await brokenAt([...TEN, stranger, ...later], later)).toEqual({ kind: 'inserted', seq: 11 });
  });

  it('an end that was cut off is found also after others were sealed behind that', async () => {
    const later = sealed(at(10), [at(1)]);
    expect(await brokenAt([...TEN.slice(0, 8), ...later], later)).toEqual({ kind: 'missing', seq: 9 });
  });

  const FIELDS = ['at', 'writer', 'body', 'previousHash', 'hash'] as const;
  const somewhere = fc.integer({ min: 1, max: 10 });
  const mutation = fc.oneof(
    fc
      .record({ seq: somewhere, field: fc.constantFrom(...FIELDS), text: fc.string(), rehash: fc.boolean() })
      .map(({ seq, field, text, rehash }) => {
        const changed = { ...at(seq), [field]: text };
        return replaced(seq, rehash && field !== 'hash' ? forged(changed, {}) : changed);
      }),
    somewhere.map((seq) => TEN.filter((entry) => entry.seq !== seq)),
    fc
      .tuple(somewhere, somewhere)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => TEN.map((entry) => ({ ...entry, seq: entry.seq === a ? b : entry.seq === b ? a : entry.seq }))),
    fc
      .record({ seq: fc.integer({ min: 1, max: 11 }), body: fc.string(), hash: fc.boolean() })
      .map(({ seq, body, hash }) => {
        const before = TEN[seq - 2] ?? NOTHING_BEFORE;
        const stranger = { ...at(1), seq, body, subjects: [], previousHash: before.hash };
        const made = hash ? forged(stranger, {}) : stranger;
        return [...TEN.slice(0, seq - 1), made, ...renumbered(TEN.slice(seq - 1), 1)];
      }),
    fc
      .record({ seq: somewhere, to: fc.integer({ min: 11, max: 1000 }) })
      .map(({ seq, to }) => replaced(seq, { ...at(seq), seq: to })),
  );

  it('is found, whatever it was', async () => {
    await fc.assert(
      fc.asyncProperty(mutation, async (left) => {
        fc.pre(JSON.stringify(left) !== JSON.stringify(TEN));
        expect(await brokenAt(left, TEN)).not.toBeNull();
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a chain that somebody wrote anew from its start', () => {
  const before = sealed(
    NOTHING_BEFORE,
    TEN.map((entry) => ({ ...entry, writer: 'other:1' })),
  );

  it('looks whole, and is told by an anchor that was kept elsewhere', async () => {
    const reader = readerOf(before, headOf(before));
    expect((await checkChain(reader, NOTHING_BEFORE, null)).broken).toBeNull();
    expect((await checkChain(reader, NOTHING_BEFORE, at(6))).broken).toEqual({ kind: 'rewritten', seq: 6 });
    expect((await checkChain(reader, at(6), at(6))).broken).toEqual({ kind: 'changed', seq: 6 });
  });

  it('or cut off at its end', async () => {
    const short = TEN.slice(0, 7);
    const reader = readerOf(short, headOf(short));
    expect((await checkChain(reader, NOTHING_BEFORE, null)).broken).toBeNull();
    expect((await checkChain(reader, NOTHING_BEFORE, at(9))).broken).toEqual({ kind: 'cut', seq: 8 });
  });
});
