import { randomNumbers, type Random } from '../support/random.js';

/** What a seed says, in one stream of its own: more of it taken here changes nothing elsewhere. */
export class Chance {
  private readonly random: Random;

  constructor(seed: number, stream: number) {
    this.random = randomNumbers(Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b));
    for (let skipped = 0; skipped < 4; skipped++) this.random(2);
  }

  /** A whole number from 0, below the given one. */
  below(count: number): number {
    return this.random(count);
  }

  /** Both ends are in it. */
  between(least: number, most: number): number {
    return least + this.random(most - least + 1);
  }

  /** @param probability from 0 to 1 */
  is(probability: number): boolean {
    return this.random(1_000_000) < probability * 1_000_000;
  }

  one<T>(choices: readonly [T, ...T[]]): T;
  one<T>(choices: readonly T[]): T | undefined;
  one<T>(choices: readonly T[]): T | undefined {
    return choices[this.random(choices.length)];
  }

  /** By weights; all of them above 0. */
  weighted<T extends { readonly weight: number }>(choices: readonly [T, ...T[]]): T {
    let left = this.random(choices.reduce((sum, { weight }) => sum + weight, 0));
    return choices.find(({ weight }) => (left -= weight) < 0) ?? choices[0];
  }
}

/** Ids that the seed says, in the form of version 4. */
export function idsOf(chance: Chance): () => string {
  const hex = (digits: number): string => {
    let text = '';
    while (text.length < digits) text += chance.below(16).toString(16);
    return text;
  };
  return () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
}
