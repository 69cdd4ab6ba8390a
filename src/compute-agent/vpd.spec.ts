import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vitalProductData } from '../recorded-hosts/vital-product-data.js';
import { readSerialNumber, VPD_BYTES_MAX } from './vpd.js';

const latin = (text: string): number[] => [...Buffer.from(text, 'latin1')];
const section = (tag: number, content: readonly number[]): number[] => [
  ...[tag, content.length & 0xff, content.length >> 8],
  ...content,
];
const field = (keyword: string, value: string): number[] => [...latin(keyword), value.length, ...latin(value)];
const NAME = section(0x82, latin('A card'));
const SERIAL = field('SN', 'MT2113X00123');
const END = 0x78;

/** The sections of a VPD with RV, whose first byte makes the sum 0. */
function summed(...fields: readonly (readonly number[])[]): number[] {
  const content = [...fields.flat(), ...field('RV', '\0')];
  const bytes = [...NAME, ...section(0x90, content)];
  bytes[bytes.length - 1] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return [...bytes, END];
}

const serial = (text: string) => ({ kind: 'serial', serial: text });
const malformed = (problem: string) => ({ kind: 'malformed', problem: expect.stringContaining(problem) as string });
const NONE = { kind: 'none' };
const INCOMPLETE = { kind: 'incomplete' };

describe('the serial number in Vital Product Data', () => {
  it.each<[string, readonly number[], object]>([
    ['valid', summed(field('PN', 'MBF2'), SERIAL), serial('MT2113X00123')],
    ['what the generator writes', [...vitalProductData('A card', 'S-1')], serial('S-1')],
    ['without a checksum', [...NAME, ...section(0x90, SERIAL), END], serial('MT2113X00123')],
    ['without a name', [...section(0x90, SERIAL), END], serial('MT2113X00123')],
    [
      'with the writable section first',
      [...section(0x91, field('SN', 'no')), ...section(0x90, SERIAL)],
      serial('MT2113X00123'),
    ],
    ['without an end tag', [...NAME, ...section(0x90, SERIAL)], serial('MT2113X00123')],
    ['with junk behind the section', [...NAME, ...section(0x90, SERIAL), 0x05, 0xff], serial('MT2113X00123')],
    ['with blanks and zeros around it', summed(field('SN', ' AB 1 \0\0')), serial('AB 1')],
    ['with zeros behind the fields', [...section(0x90, [...SERIAL, 0, 0, 0, 0]), END], serial('MT2113X00123')],
    ['with two: the first', summed(SERIAL, field('SN', 'two')), serial('MT2113X00123')],
    ['of the greatest length', summed(field('SN', 'x'.repeat(255))), serial('x'.repeat(255))],
    ['nothing at all', [], NONE],
    ['zeros', [0, 0, 0, 0], NONE],
    ['ones', [0xff, 0xff, 0xff], NONE],
    ['only an end', [END], NONE],
    ['no read-only section', [...NAME, END], NONE],
    ['no serial number', summed(field('PN', 'x')), NONE],
    ['an empty serial number', summed(field('SN', '')), NONE],
    ['a blank serial number', summed(field('SN', '  \0')), NONE],
    ['a serial number in the writable section only', [...NAME, ...section(0x91, SERIAL), END], NONE],
    ['cut in the header', [...NAME, 0x90, 0x10], INCOMPLETE],
    ['cut in the section', [...NAME, ...section(0x90, SERIAL).slice(0, -1)], INCOMPLETE],
    ['cut after the name, no end tag', NAME, INCOMPLETE],
    ['garbage', [0x12, 0x34], malformed('byte 0 is 0x12, which begins no section')],
    ['an unknown section', [...section(0x85, [1]), END], malformed('byte 0 is 0x85')],
    ['junk after the name', [...NAME, 0x07], malformed('byte 9 is 0x07')],
    ['a section that is longer than VPD', [0x90, 0xff, 0xff], malformed('the section at byte 0 is longer than VPD')],
    ['a name that is longer than VPD', [0x82, 0xfe, 0x7f, 0x41], malformed('the section at byte 0 is longer than VPD')],
    [
      'a field that is longer than its section',
      [...section(0x90, [...latin('SN'), 200, 65]), END],
      malformed('SN is longer'),
    ],
    ['a field without a length', [...section(0x90, latin('SN')), END], malformed('its last field has no length')],
    ['a keyword of junk', [...section(0x90, [1, 2, 0]), END], malformed('the field at byte 3 has no keyword')],
    ['a serial number that is not ASCII', summed(field('SN', 'M\xfcller')), malformed('is not text')],
    ['a serial number with a control character', summed(field('SN', 'a\nb')), malformed('is not text')],
    ['a wrong checksum', [...summed(SERIAL).slice(0, -2), 0x55, END], malformed('the checksum is wrong')],
    ['an empty checksum', [...NAME, ...section(0x90, [...SERIAL, ...field('RV', '')]), END], malformed('the checksum')],
  ])('%s', (_what, bytes, expected) => {
    expect(readSerialNumber(Uint8Array.from(bytes))).toEqual(expected);
  });

  it('is found at the very end of what VPD can hold', () => {
    const fields = field('SN', 'last');
    const filler = VPD_BYTES_MAX - fields.length - 6;
    const bytes = Uint8Array.from([...section(0x82, Array<number>(filler).fill(0x41)), ...section(0x90, fields)]);
    expect(bytes).toHaveLength(VPD_BYTES_MAX);
    expect(readSerialNumber(bytes)).toEqual(serial('last'));
  });

  it('never throws, and a longer beginning never takes back what a shorter one said', () => {
    const noise = fc.uint8Array({ maxLength: 64 });
    const bytes = fc.oneof(
      noise,
      fc.tuple(noise, fc.nat(80)).map(([junk, at]) => {
        const whole = summed(SERIAL);
        return Uint8Array.from([...whole.slice(0, at), ...junk, ...whole.slice(at)]);
      }),
    );
    fc.assert(
      fc.property(bytes, fc.nat(120), (whole, cut) => {
        const part = readSerialNumber(whole.subarray(0, Math.max(1, cut)));
        if (part.kind !== 'incomplete') expect(readSerialNumber(whole)).toEqual(whole.length === 0 ? NONE : part);
      }),
      { numRuns: 2000 },
    );
  });
});
