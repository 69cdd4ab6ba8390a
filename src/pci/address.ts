import { BerthError } from '../errors.js';

/**
 * A PCI address as text, `dddd:bb:ss.f`, lower-case hex. The domain has four digits, or up to eight where the kernel
 * gives more (Intel VMD: `10000:01:00.0`).
 */
export type Address = string;

export interface AddressParts {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

export const ADDRESS_LIMITS: AddressParts = { domain: 0xffff_ffff, bus: 0xff, slot: 0x1f, function: 0x7 };

const FORM = /^([0-9a-f]{1,8}):([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i;

/**
 * Reads an address. The domain may be left out (`83:00.0`), digits may be upper case or short.
 *
 * @throws BerthError `address.invalid`
 */
export function parseAddress(text: string): AddressParts {
  const whole = text.indexOf(':') === text.lastIndexOf(':') ? `0000:${text}` : text;
  const match = FORM.exec(whole.trim());
  if (!match) {
    throw new BerthError('address.invalid', `"${clip(text)}" is not a PCI address like 0000:81:00.0`);
  }
  const [domain, bus, slot, fn] = match.slice(1).map((digits) => Number.parseInt(digits, 16)) as [
    number,
    number,
    number,
    number,
  ];
  if (slot > ADDRESS_LIMITS.slot) {
    throw new BerthError('address.invalid', `"${clip(text)}": slot ${slot.toString(16)} is above 1f`);
  }
  return { domain, bus, slot, function: fn };
}

/** The canonical text of an address: {@link Address}. */
export function formatAddress(parts: AddressParts): Address {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(parts.domain, 4)}:${hex(parts.bus, 2)}:${hex(parts.slot, 2)}.${parts.function}`;
}

/** `parseAddress` and `formatAddress` in one: any accepted spelling becomes the canonical one. */
export function normalizeAddress(text: string): Address {
  return formatAddress(parseAddress(text));
}

/** Orders canonical addresses by domain, bus, slot, function. */
export function compareAddresses(a: Address, b: Address): number {
  // Canonical texts of one length sort as text; a longer domain is a greater one.
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
