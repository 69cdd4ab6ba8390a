import type { Address } from '../address.js';
import { componentCovers } from './device-spec-address.js';
import type { AddressPattern } from './device-spec-address.js';

/** Digits of an address; the domain is left out, because hosts have one or few. null: any. */
export type Place = Readonly<Record<Part, string | null>>;

const PARTS = ['function', 'slot', 'bus'] as const;
type Part = (typeof PARTS)[number];

export const ANY_PLACE: Place = { function: null, slot: null, bus: null };
const NONE: readonly number[] = [];

export function placeOf(address: Address): Place {
  return { function: address.slice(-1), slot: address.slice(-4, -2), bus: address.slice(-7, -5) };
}

/** The digits that a pattern asks for. */
export function placeAskedFor(pattern: AddressPattern): Place {
  const digits = (part: Part): string | null => {
    const component = pattern[part];
    return component.kind === 'exact' ? component.digits : null;
  };
  return { function: digits('function'), slot: digits('slot'), bus: digits('bus') };
}

export function asksForPlace(pattern: AddressPattern): boolean {
  return PARTS.some((part) => pattern[part].kind !== 'any');
}

/**
 * Address patterns by the buses, slots and functions that they take: a host has few of each, so that every pattern is asked
 * once about each of them, and not about each device.
 */
export class PlacePatterns {
  private readonly numbers: number[] = [];
  private readonly patterns = new Map<number, AddressPattern>();
  private readonly lists = { function: new Map(), slot: new Map(), bus: new Map() } as Readonly<
    Record<Part, Map<string, readonly number[]>>
  >;

  add(number: number, pattern: AddressPattern): void {
    this.numbers.push(number);
    this.patterns.set(number, pattern);
  }

  /** The numbers of all patterns that take the place, and of some that do not, in the order in which they were added. */
  candidates(place: Place): readonly number[] {
    if (this.numbers.length === 0) return NONE;
    let fewest: readonly number[] = this.numbers;
    for (const part of PARTS) {
      const digits = place[part];
      const list = digits === null ? fewest : this.thatTake(part, digits);
      if (list.length < fewest.length) fewest = list;
    }
    return fewest;
  }

  private thatTake(part: Part, digits: string): readonly number[] {
    const known = this.lists[part].get(digits);
    if (known) return known;
    const exact = { kind: 'exact', digits } as const;
    const list = [...this.patterns].flatMap(([number, pattern]) =>
      componentCovers(pattern[part], exact) ? [number] : [],
    );
    this.lists[part].set(digits, list);
    return list;
  }
}
