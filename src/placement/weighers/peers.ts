/** So many newcomers are put in their places one by one; of more, all are sorted. */
const LOOSE_MAX = 16;

interface Peerage {
  readonly key: string;
  /** In order. */
  readonly sorted: number[];
  /** Came since, in no order. */
  readonly loose: number[];
}

/**
 * Members that are alike, by a key, under one small number: thousands of hosts are of a few kinds, and what holds for one of a kind
 * holds for all. Numbers are used again, so they stay as small as they can. Members are whole numbers, and in the order of these.
 */
export class Peers {
  /** The least member of each number. */
  readonly firsts: Int32Array;
  private readonly numbers: Int32Array;
  private readonly byKey = new Map<string, number>();
  private readonly peerages: (Peerage | null)[] = [];
  private readonly unused: number[] = [];

  /** @param size members are less than this */
  constructor(size: number) {
    this.firsts = new Int32Array(size);
    this.numbers = new Int32Array(size).fill(-1);
  }

  /** All numbers are less than this. */
  get end(): number {
    return this.peerages.length;
  }

  /** −1: of nobody's. */
  numberOf(member: number): number {
    return this.numbers[member] as number;
  }

  keyOf(number: number): string | null {
    return this.peerages[number]?.key ?? null;
  }

  /** The first so many of a number, in order. */
  first(number: number, count: number): readonly number[] {
    return settled(this.peerages[number] as Peerage).slice(0, count);
  }

  /** To be called for one that is of nobody's. @returns its number, and whether nobody else has it */
  join(member: number, key: string): { readonly number: number; readonly isNew: boolean } {
    const known = this.byKey.get(key);
    const number = known ?? this.unused.pop() ?? this.peerages.length;
    this.numbers[member] = number;
    if (known === undefined) {
      this.byKey.set(key, number);
      this.peerages[number] = { key, sorted: [member], loose: [] };
      this.firsts[number] = member;
      return { number, isNew: true };
    }
    const { sorted, loose } = this.peerages[number] as Peerage;
    if (member > (sorted.at(-1) as number)) sorted.push(member);
    else loose.push(member);
    if (member < (this.firsts[number] as number)) this.firsts[number] = member;
    return { number, isNew: false };
  }

  /** @returns the number that it had, and whether nobody has it any more */
  leave(member: number): { readonly number: number; readonly isGone: boolean } {
    const number = this.numbers[member] as number;
    const peerage = this.peerages[number] as Peerage;
    const sorted = settled(peerage);
    sorted.splice(placeOf(sorted, member), 1);
    this.numbers[member] = -1;
    if (sorted.length > 0) {
      this.firsts[number] = sorted[0] as number;
      return { number, isGone: false };
    }
    this.byKey.delete(peerage.key);
    this.peerages[number] = null;
    this.unused.push(number);
    return { number, isGone: true };
  }
}

function settled({ sorted, loose }: Peerage): number[] {
  if (loose.length === 0) return sorted;
  if (loose.length > LOOSE_MAX) {
    for (const member of loose) sorted.push(member);
    sorted.sort((a, b) => a - b);
  } else {
    for (const member of loose) sorted.splice(placeOf(sorted, member), 0, member);
  }
  loose.length = 0;
  return sorted;
}

/** Where it is, or belongs. */
function placeOf(sorted: readonly number[], member: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] as number) < member) from = middle + 1;
    else to = middle;
  }
  return from;
}
