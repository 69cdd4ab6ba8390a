import type { Card } from './description.js';

/** What the bytes of a function's configuration space follow from. */
export interface ConfigFacts {
  readonly card: Card;
  readonly driver: string | null;
  readonly isVirtual: boolean;
  /** Function 0 of a slot that has others. */
  readonly multifunction: boolean;
  readonly behind: { readonly primary: number; readonly secondary: number; readonly subordinate: number } | null;
  readonly vfs: number;
  /** Start addresses by BAR index. */
  readonly barStarts: ReadonlyMap<number, number>;
}

const PM = 0x40;
const EXPRESS = 0x60;
const SUBSYSTEM = 0xa4;
const CONVENTIONAL_BYTES = 256;
const EXPRESS_BYTES = 4096;
const PORT_TYPES = { root: 4, upstream: 5, downstream: 6, pci: 7 } as const;

/**
 * A configuration space that `lspci -vv` can read: header, BARs, and the capabilities power management, PCI Express,
 * ACS, ARI and SR-IOV. 256 bytes for conventional PCI, else 4096.
 */
export function configSpace(facts: ConfigFacts): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(facts.card.link === null ? CONVENTIONAL_BYTES : EXPRESS_BYTES));
  writeHeader(bytes, facts);
  writeBars(bytes, facts);
  const last = writeCapabilities(bytes, facts);
  if (facts.behind !== null) writeBridge(bytes, facts, last);
  if (facts.card.link !== null) writeExtended(bytes, facts);
  return new Uint8Array(bytes.buffer);
}

function writeHeader(bytes: DataView, { card, driver, isVirtual, multifunction, behind }: ConfigFacts): void {
  // A VF's ids read as ffff: they follow from its PF's SR-IOV capability, and the kernel knows them from there.
  u16(bytes, 0x00, isVirtual ? 0xffff : id(card.vendorId));
  u16(bytes, 0x02, isVirtual ? 0xffff : id(card.productId));
  u16(bytes, 0x04, isVirtual ? 0 : driver === null ? 0x0103 : 0x0507);
  u16(bytes, 0x06, 0x0010);
  u8(bytes, 0x08, id(card.revision));
  const classCode = id(card.classCode);
  u8(bytes, 0x09, classCode & 0xff);
  u8(bytes, 0x0a, (classCode >> 8) & 0xff);
  u8(bytes, 0x0b, classCode >> 16);
  u8(bytes, 0x0e, (behind === null ? 0 : 1) | (multifunction ? 0x80 : 0));
  u8(bytes, 0x34, PM);
  u8(bytes, 0x3d, isVirtual || behind !== null ? 0 : 1);
  if (behind === null) {
    u16(bytes, 0x2c, id(card.subsystemVendorId));
    u16(bytes, 0x2e, id(card.subsystemProductId));
  }
}

const BAR_FLAGS = { io: 1, memory: 0, memory64: 4, prefetchable64: 0xc } as const;

function writeBars(bytes: DataView, { card, isVirtual, barStarts }: ConfigFacts): void {
  if (isVirtual) return; // the PF's capability says where they are
  for (const bar of card.bars) {
    const start = barStarts.get(bar.index) ?? 0;
    u32(bytes, 0x10 + 4 * bar.index, (start % 2 ** 32) + BAR_FLAGS[bar.kind]);
    if (bar.kind.endsWith('64')) u32(bytes, 0x14 + 4 * bar.index, Math.floor(start / 2 ** 32));
  }
}

/** Returns where the last capability begins, for another to be hung behind it. */
function writeCapabilities(bytes: DataView, { card }: ConfigFacts): number {
  u8(bytes, PM, 0x01);
  u16(bytes, PM + 2, 0x0003);
  u16(bytes, PM + 4, 0x0008);
  if (card.link === null) return PM;
  const speed = SPEED_CODES[card.link.speed];
  u8(bytes, PM + 1, EXPRESS);
  u8(bytes, EXPRESS, 0x10);
  u16(bytes, EXPRESS + 2, 2 | ((card.port === null ? 0 : PORT_TYPES[card.port]) << 4));
  u32(bytes, EXPRESS + 4, card.resetMethods.includes('flr') ? 0x1000_8000 : 0x0000_8000);
  u16(bytes, EXPRESS + 8, 0x2810);
  u32(bytes, EXPRESS + 0x0c, speed | (card.link.width << 4));
  u16(bytes, EXPRESS + 0x12, speed | (card.link.width << 4));
  u32(bytes, EXPRESS + 0x2c, (2 ** speed - 1) << 1);
  u16(bytes, EXPRESS + 0x30, speed);
  return EXPRESS;
}

const SPEED_CODES = { 2.5: 1, 5: 2, 8: 3, 16: 4, 32: 5 } as const;

function writeBridge(bytes: DataView, { card, behind }: ConfigFacts, last: number): void {
  u8(bytes, 0x18, behind?.primary ?? 0);
  u8(bytes, 0x19, behind?.secondary ?? 0);
  u8(bytes, 0x1a, behind?.subordinate ?? 0);
  // Windows that are closed: their base is above their limit.
  u16(bytes, 0x1c, 0x00f0);
  u16(bytes, 0x20, 0xfff0);
  u16(bytes, 0x24, 0xfff1);
  u16(bytes, 0x26, 0x0001);
  u8(bytes, last + 1, SUBSYSTEM);
  u8(bytes, SUBSYSTEM, 0x0d);
  u16(bytes, SUBSYSTEM + 4, id(card.subsystemVendorId));
  u16(bytes, SUBSYSTEM + 6, id(card.subsystemProductId));
}

function writeExtended(bytes: DataView, { card, isVirtual, vfs }: ConfigFacts): void {
  const sriov = isVirtual ? null : card.sriov;
  const chain: (readonly [id: number, length: number, write: (at: number) => void])[] = [];
  if (card.acs) chain.push([0x0d, 8, (at) => writeAccessControl(bytes, at, card)]);
  if (sriov !== null || isVirtual) chain.push([0x0e, 8, () => undefined]);
  if (sriov !== null) chain.push([0x10, 0x40, (at) => writeSriov(bytes, at, sriov, vfs)]);
  let at = 0x100;
  for (const [index, [capability, length, write]] of chain.entries()) {
    const next = index === chain.length - 1 ? 0 : at + length;
    u32(bytes, at, (capability | (1 << 16) | (next << 20)) >>> 0);
    write(at);
    at = next;
  }
}

function writeAccessControl(bytes: DataView, at: number, card: Card): void {
  // An endpoint's functions can do nothing to each other; a port redirects and filters, and the kernel switched it on.
  u16(bytes, at + 4, card.port === null ? 0 : 0x5f);
  u16(bytes, at + 6, card.port === null ? 0 : 0x1d);
}

function writeSriov(bytes: DataView, at: number, sriov: NonNullable<Card['sriov']>, vfs: number): void {
  u16(bytes, at + 8, vfs > 0 ? 0x19 : 0x10);
  u16(bytes, at + 0x0c, sriov.totalVfs);
  u16(bytes, at + 0x0e, sriov.totalVfs);
  u16(bytes, at + 0x10, vfs);
  u16(bytes, at + 0x14, sriov.offset);
  u16(bytes, at + 0x16, sriov.stride);
  u16(bytes, at + 0x1a, id(sriov.vf.productId));
  u32(bytes, at + 0x1c, 0x553);
  u32(bytes, at + 0x20, 1);
}

function id(hexDigits: string): number {
  return Number.parseInt(hexDigits, 16);
}

function u8(bytes: DataView, at: number, value: number): void {
  bytes.setUint8(at, value);
}

function u16(bytes: DataView, at: number, value: number): void {
  bytes.setUint16(at, value, true);
}

function u32(bytes: DataView, at: number, value: number): void {
  bytes.setUint32(at, value, true);
}
