/** What Vital Product Data says of the card's serial number. */
export type VpdReading =
  | { readonly kind: 'serial'; readonly serial: string }
  /** Blank, or without a serial number. */
  | { readonly kind: 'none' }
  /** It goes on behind what was given. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly problem: string };

/** Addresses of VPD have 15 bits. */
export const VPD_BYTES_MAX = 32_768;

const TAG = { name: 0x82, readOnly: 0x90, writable: 0x91, end: 0x78 } as const;
const LARGE_HEADER = 3;
const FIELD_HEADER = 3;
const NONE: VpdReading = { kind: 'none' };
const INCOMPLETE: VpdReading = { kind: 'incomplete' };

/**
 * The serial number (keyword SN of the read-only section) in the first bytes of a card's VPD. Never throws; once the
 * read-only section is whole, what follows it is not looked at, nor needed.
 *
 * Source of the format: PCI Local Bus Specification 3.0, appendix I.
 */
export function readSerialNumber(bytes: Uint8Array): VpdReading {
  // An empty memory reads as zeros or ones.
  if (bytes.length === 0 || bytes[0] === 0x00 || bytes[0] === 0xff) return NONE;
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] as number;
    if (tag === TAG.end) return NONE;
    if (!isSection(tag)) return malformed(`byte ${at} is ${hex(tag)}, which begins no section`);
    if (at + LARGE_HEADER > bytes.length) return INCOMPLETE;
    const start = at + LARGE_HEADER;
    const end = start + (bytes[at + 1] as number) + 256 * (bytes[at + 2] as number);
    if (end > VPD_BYTES_MAX) return malformed(`the section at byte ${at} is longer than VPD can be`);
    if (tag === TAG.readOnly) return end > bytes.length ? INCOMPLETE : serialIn(bytes, start, end);
    at = end;
  }
  return INCOMPLETE;
}

function isSection(tag: number): boolean {
  return tag === TAG.name || tag === TAG.readOnly || tag === TAG.writable;
}

function serialIn(bytes: Uint8Array, start: number, end: number): VpdReading {
  let serial: VpdReading = NONE;
  for (let at = start; at < end && bytes[at] !== 0x00;) {
    const value = at + FIELD_HEADER;
    if (value > end) return malformed('its last field has no length');
    const keyword = String.fromCharCode(bytes[at] as number, bytes[at + 1] as number);
    if (!/^[A-Z0-9]{2}$/.test(keyword)) return malformed(`the field at byte ${at} has no keyword`);
    const next = value + (bytes[at + 2] as number);
    if (next > end) return malformed(`the field ${keyword} is longer than its section`);
    if (keyword === 'SN' && serial === NONE) serial = textOf(bytes.subarray(value, next));
    if (keyword === 'RV')
      return next > value && checksumFits(bytes, value) ? serial : malformed('the checksum is wrong');
    at = next;
  }
  return serial;
}

function textOf(bytes: Uint8Array): VpdReading {
  const text = Buffer.from(bytes).toString('latin1').replace(/\0+$/, '').trim();
  if (text === '') return NONE;
  return /^[\x20-\x7e]+$/.test(text) ? { kind: 'serial', serial: text } : malformed('the serial number is not text');
}

/** All bytes from the first one to the first one of RV add up to nothing. */
function checksumFits(bytes: Uint8Array, last: number): boolean {
  return bytes.subarray(0, last + 1).reduce((sum, byte) => (sum + byte) & 0xff, 0) === 0;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

function malformed(problem: string): VpdReading {
  return { kind: 'malformed', problem };
}
