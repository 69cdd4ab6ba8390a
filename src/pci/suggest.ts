const WORD_LENGTH_MAX = 64;
const CANDIDATES_MAX = 1000;

/**
 * The candidate that a mistyped word most likely meant: at most two edits away (one, for words of up to three letters),
 * without regard to case. The earlier of two equally near ones; null when nothing is near.
 */
export function didYouMean(word: string, candidates: Iterable<string>): string | null {
  if (word.length === 0 || word.length > WORD_LENGTH_MAX) return null;
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = word.length <= 3 ? 2 : 3;
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > CANDIDATES_MAX) break;
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `; did you mean "vendor_id"?`, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const candidate = didYouMean(word, candidates);
  return candidate === null ? '' : `; did you mean "${candidate}"?`;
}

/** Levenshtein's distance; `limit` or more is all the same. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
