import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPort, type ConfigRead } from './port-config.js';

const ROOT = 4;
const UPSTREAM = 5;
const DOWNSTREAM = 6;
const TO_PCI = 7;

/** Bytes at their places. */
type Patch = readonly (readonly [at: number, ...bytes: number[]])[];

function config(length: number, ...patches: readonly Patch[]): Uint8Array {
  const bytes = new Uint8Array(4096);
  for (const [at, ...values] of patches.flat()) bytes.set(values, at);
  return bytes.slice(0, length);
}

const shown =
  (bytes: Uint8Array): ConfigRead =>
  (offset, length) =>
    bytes.subarray(offset, offset + length);

/** A header of vendor 8086 whose capability list has power management at 40 and PCI Express at 60. */
const port = (type: number): Patch => [
  [0x00, 0x86, 0x80],
  [0x06, 0x10, 0x00],
  [0x34, 0x40],
  [0x40, 0x01, 0x60],
  [0x60, 0x10, 0x00, 0x02 | (type << 4), 0x00],
];
/** An extended capability: 16 bits of id, 4 of version, 12 of where the next one is. */
const extended = (at: number, id: number, next: number): Patch => [
  [at, id & 0xff, id >> 8, 1 | ((next & 0x0f) << 4), next >> 4],
];
const acs = (at: number, control: number, next = 0): Patch => [
  ...extended(at, 0x0d, next),
  [at + 4, 0x5f, 0x00, control & 0xff, control >> 8],
];
const answer = (kind: string, redirects: boolean) => ({ kind, redirects });

describe('the configuration space of a port', () => {
  it.each<[string, readonly Patch[], object]>([
    ['a root port as Linux sets it', [port(ROOT), acs(0x100, 0x1d)], answer('root', true)],
    ["a switch's port as Linux sets it", [port(DOWNSTREAM), acs(0x100, 0x1d)], answer('downstream', true)],
    ['with nothing switched on', [port(DOWNSTREAM), acs(0x100, 0)], answer('downstream', false)],
    ['with request redirect alone', [port(DOWNSTREAM), acs(0x100, 0x04)], answer('downstream', true)],
    ['with completion redirect alone', [port(DOWNSTREAM), acs(0x100, 0x08)], answer('downstream', true)],
    ['with all but the two', [port(DOWNSTREAM), acs(0x100, 0x73)], answer('downstream', false)],
    [
      'with ACS last of three',
      [port(DOWNSTREAM), extended(0x100, 0x01, 0x148), extended(0x148, 0x19, 0xff8), acs(0xff8, 0x1d)],
      answer('downstream', true),
    ],
    ['without ACS', [port(ROOT), extended(0x100, 0x01, 0x148), extended(0x148, 0x19, 0)], answer('root', false)],
    ['without extended capabilities', [port(ROOT)], answer('root', false)],
    ['the port of a switch towards the root', [port(UPSTREAM), acs(0x100, 0x1d)], answer('other', false)],
    ['a bridge to conventional PCI', [port(TO_PCI)], answer('other', false)],
    ['a bridge without PCI Express', [[[0x00, 0x86, 0x80], [0x06, 0x10], [0x34, 0x40], [0x40, 0x0d]]], answer('other', false)], // prettier-ignore
    ['a bridge without capabilities', [[[0x00, 0x86, 0x80], [0x34, 0x40]]], answer('other', false)], // prettier-ignore
    ['low bits of pointers, which are reserved', [port(ROOT), [[0x34, 0x43]], acs(0x100, 0x1d)], answer('root', true)],
  ])('%s', (_what, patches, expected) => {
    expect(readPort(shown(config(4096, ...patches)))).toEqual(expected);
  });

  it.each<[string, Uint8Array]>([
    ['nothing is shown', config(0, port(ROOT))],
    ['only the header is, as to any user', config(64, port(ROOT), acs(0x100, 0x1d))],
    ['only what conventional PCI has', config(256, port(ROOT), acs(0x100, 0x1d))],
    ['it ends within the capability', config(0x106, port(ROOT), acs(0x100, 0x1d))],
    ['it ends before the next capability', config(0x140, port(ROOT), extended(0x100, 0x01, 0x148))],
    ['the card is gone', new Uint8Array(4096).fill(0xff)],
    ['its extended part reads as ones', config(4096, port(ROOT), [[0x100, 0xff, 0xff, 0xff, 0xff]])],
    ['its capabilities go round in a circle', config(4096, port(ROOT), [[0x40, 0x01, 0x44, 0, 0, 0x05, 0x40]])],
    ['a capability lies in the header', config(4096, port(ROOT), [[0x34, 0x10]])],
    [
      'its extended ones go round',
      config(4096, port(ROOT), extended(0x100, 0x01, 0x200), extended(0x200, 0x02, 0x100)),
    ],
    ['an extended one lies among the others', config(4096, port(ROOT), extended(0x100, 0x01, 0x80))],
    ['an extended one lies behind the end', config(4096, port(ROOT), extended(0x100, 0x01, 0xffc))],
  ])('is not known when %s', (_what, bytes) => {
    expect(readPort(shown(bytes))).toBeNull();
  });

  it('never throws, and whoever is shown less is told the same or nothing', () => {
    const patch = fc.tuple(fc.nat(0x2ff), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(patch, { maxLength: 12 }), fc.nat(4096), (patches, length) => {
        const whole = config(4096, port(DOWNSTREAM), acs(0x100, 0x1d), patches);
        const part = readPort(shown(whole.slice(0, length)));
        if (part !== null) expect(part).toEqual(readPort(shown(whole)));
      }),
      { numRuns: 1000 },
    );
  });

  it('asks for few bytes: each is a wait for the hardware', () => {
    let asked = 0;
    const bytes = config(4096, port(DOWNSTREAM), extended(0x100, 0x01, 0x148), acs(0x148, 0x1d));
    readPort((offset, length) => {
      asked += length;
      return shown(bytes)(offset, length);
    });
    expect(asked).toBeLessThanOrEqual(256 + 2 * 8);
  });
});
