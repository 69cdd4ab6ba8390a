/** What the configuration space of a bridge says of the way of peer-to-peer traffic through it. */
export interface PortReading {
  /** Of PCI Express: a root port or a switch's port towards devices; `other` is every other bridge. */
  readonly kind: 'root' | 'downstream' | 'other';
  /** Whether it sends what its devices say to their neighbours up to the root complex. */
  readonly redirects: boolean;
}

/** Bytes of a configuration space; fewer than asked for where it ends, or where the rest is not shown. */
export type ConfigRead = (offset: number, length: number) => Uint8Array;

const HEADER_BYTES = 64;
const CONVENTIONAL_BYTES = 256;
const EXTENDED_BYTES = 4096;
const STATUS = 0x06;
const HAS_CAPABILITIES = 0x10;
const FIRST_CAPABILITY = 0x34;
const EXPRESS = 0x10;
const PORT_TYPES: Readonly<Record<number, PortReading['kind']>> = { 4: 'root', 6: 'downstream' };
const ACCESS_CONTROL = 0x0d;
const ACCESS_CONTROL_BYTES = 8;
const REQUEST_REDIRECT = 0x04;
const COMPLETION_REDIRECT = 0x08;

/**
 * Reads what a bridge is and whether Access Control Services redirect there. One of P2P Request Redirect and P2P Completion
 * Redirect is enough: with the second alone, what is read from a neighbour still takes the long way. A port without that
 * capability cannot redirect. Never throws; null when the part that says it is not shown (the kernel shows more than 64 bytes
 * to root only) or makes no sense.
 *
 * Source of the layout: PCI Express Base Specification 5.0, 7.5.1 (header), 7.5.3 (PCI Express), 7.6.3 (extended), 7.7.8 (ACS).
 */
export function readPort(read: ConfigRead): PortReading | null {
  const config = read(0, CONVENTIONAL_BYTES);
  // A port that is gone answers with ones.
  if (config.length < HEADER_BYTES || u16(config, 0) === 0xffff) return null;
  const express = capabilityAt(config, EXPRESS);
  if (express === null) return null;
  const kind = express === 'none' ? 'other' : (PORT_TYPES[(u16(config, express + 2) >> 4) & 0x0f] ?? 'other');
  if (kind === 'other') return { kind, redirects: false };
  const redirects = redirectsIn(read);
  return redirects === null ? null : { kind, redirects };
}

/** Where a capability of the first 256 bytes begins; null: the list leads to where nothing is shown, or in a circle. */
function capabilityAt(config: Uint8Array, wanted: number): number | 'none' | null {
  if ((u16(config, STATUS) & HAS_CAPABILITIES) === 0) return 'none';
  const seen = new Set<number>();
  for (let at = pointer(config, FIRST_CAPABILITY); at !== 0; at = pointer(config, at + 1)) {
    if (at < HEADER_BYTES || at + 4 > config.length || seen.has(at)) return null;
    if (config[at] === wanted) return at;
    seen.add(at);
  }
  return 'none';
}

function pointer(config: Uint8Array, at: number): number {
  return (config[at] as number) & 0xfc;
}

function redirectsIn(read: ConfigRead): boolean | null {
  const seen = new Set<number>();
  for (let at = CONVENTIONAL_BYTES; at !== 0;) {
    if (at < CONVENTIONAL_BYTES || at + ACCESS_CONTROL_BYTES > EXTENDED_BYTES || seen.has(at)) return null;
    seen.add(at);
    const bytes = read(at, ACCESS_CONTROL_BYTES);
    if (bytes.length < ACCESS_CONTROL_BYTES) return null;
    const [id, versionAndNext] = [u16(bytes, 0), u16(bytes, 2)];
    if (id === 0xffff) return null;
    if (id === ACCESS_CONTROL) return (u16(bytes, 6) & (REQUEST_REDIRECT | COMPLETION_REDIRECT)) !== 0;
    at = (versionAndNext >> 4) & 0xffc;
  }
  return false;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}
