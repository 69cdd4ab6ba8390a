import { describe, expect, it } from 'vitest';
import {
  clip,
  defaultResourceClass,
  FieldProblem,
  isObject,
  kindOf,
  placeOf,
  readBoolean,
  readCount,
  readHexId,
  readResourceClass,
  readText,
  readTraits,
  unknownKey,
} from './device-spec-fields.js';

/** What a reader says of a value that it refuses. */
function problem(read: (value: unknown) => unknown, value: unknown): string {
  try {
    return `read as ${JSON.stringify(read(value))}`;
  } catch (error) {
    if (error instanceof FieldProblem) return error.message;
    throw error;
  }
}

describe('words for messages', () => {
  it.each<[unknown, string]>([
    [null, 'null'],
    [undefined, 'null'],
    [[1], 'a list'],
    [{}, 'an object'],
    ['x', 'a text'],
    [true, 'the boolean true'],
    [12, 'the number 12'],
  ])('calls %j %s', (value, expected) => {
    expect(kindOf(value)).toBe(expected);
  });

  it('an object is neither null nor a list', () => {
    expect([{}, { a: 1 }, null, [], 'x', undefined].filter(isObject)).toEqual([{}, { a: 1 }]);
  });

  it('clips what is longer than 60 characters', () => {
    expect(clip('x'.repeat(60))).toBe('x'.repeat(60));
    expect(clip('x'.repeat(61))).toBe(`${'x'.repeat(60)}…`);
  });

  it('knows the place of a part, when its reader does', () => {
    expect(placeOf('nova.conf:34', ['address', 'bus'])).toBe('nova.conf:34');
    expect(placeOf((path) => path.join('/'), ['address', 'bus'])).toBe('address/bus');
  });

  it('suggests a key, or lists them', () => {
    expect(unknownKey('vender', ['vendor', 'product'])).toBe('unknown key; did you mean "vendor"?');
    expect(unknownKey('colour', ['vendor', 'product'])).toBe('unknown key; the keys are vendor, product');
  });

  it('a problem is at the place of the value itself, or at a part of it', () => {
    expect(new FieldProblem('bad').path).toEqual([]);
    expect(new FieldProblem('bad', ['bus']).path).toEqual(['bus']);
  });
});

describe('texts', () => {
  it.each(['x', ' x ', 'x'.repeat(255), 'ß…'])('takes %j as it is', (text) => {
    expect(readText(text)).toBe(text);
  });

  it.each<[unknown, string]>([
    [12, 'a number; write "12" in quotes'],
    [null, 'has to be a text in quotes, not null'],
    [['x'], 'has to be a text in quotes, not a list'],
    ['', 'is empty; give a value, or leave the key out'],
    [' \t', 'is empty; give a value, or leave the key out'],
    ['x'.repeat(256), 'has 256 characters; at most 255'],
    ['x\n', 'has a control character in it; remove it'],
    ['\u0000', 'has a control character in it; remove it'],
  ])('refuses %j: %s', (value, message) => {
    expect(problem(readText, value)).toBe(message);
  });
});

describe('vendor and product ids', () => {
  it.each<[string, string | null]>([
    ['*', null],
    ['8086', '8086'],
    ['0x8086', '8086'],
    ['0X10De', '10de'],
    ['71', '0071'],
    ['0', '0000'],
  ])('reads %j as %j', (text, expected) => {
    expect(readHexId(text)).toBe(expected);
  });

  it.each<[unknown, string]>([
    [71, 'a number; write "0071" in quotes'],
    [8086, 'a number; write "8086" in quotes'],
    [null, 'has to be a text like "8086" or "*", not null'],
    ['', '"" is not 1 to 4 hex digits, like "8086", and not "*"'],
    ['**', '"**" is not 1 to 4 hex digits, like "8086", and not "*"'],
    ['80860', '"80860" is not 1 to 4 hex digits, like "8086", and not "*"'],
    ['x8086', '"x8086" is not 1 to 4 hex digits, like "8086", and not "*"'],
    [' 8086', '" 8086" is not 1 to 4 hex digits, like "8086", and not "*"'],
    ['8086\n', '"8086\n" is not 1 to 4 hex digits, like "8086", and not "*"'],
    ['80g6', '"80g6" is not 1 to 4 hex digits, like "8086", and not "*"'],
  ])('refuses %j: %s', (value, message) => {
    expect(problem(readHexId, value)).toBe(message);
  });
});

describe('yes and no', () => {
  it.each([true, 1, '1', 't', 'true', 'on', 'y', 'yes', ' Yes ', 'TRUE'])('%j is yes', (value) => {
    expect(readBoolean(value)).toBe(true);
  });

  it.each([false, 0, '0', 'f', 'false', 'off', 'n', 'no', ' No ', 'FALSE'])('%j is no', (value) => {
    expect(readBoolean(value)).toBe(false);
  });

  it.each<[unknown, string]>([
    ['maybe', '"maybe" is neither yes nor no; write true or false'],
    ['', '"" is neither yes nor no; write true or false'],
    [2, 'the number 2 is neither yes nor no; write true or false'],
    [null, 'null is neither yes nor no; write true or false'],
    [[true], 'a list is neither yes nor no; write true or false'],
    [{ toString: 'true' }, 'an object is neither yes nor no; write true or false'],
  ])('%j is neither: %s', (value, message) => {
    expect(problem(readBoolean, value)).toBe(message);
  });
});

describe('resource classes', () => {
  it.each([
    ...['VCPU', 'PCPU', 'MEMORY_MB', 'DISK_GB', 'PCI_DEVICE', 'SRIOV_NET_VF', 'IPV4_ADDRESS', 'FPGA', 'PGPU', 'VGPU'],
    ...['VGPU_DISPLAY_HEAD', 'NUMA_SOCKET', 'NUMA_CORE', 'NUMA_THREAD', 'NUMA_MEMORY_MB', 'MEM_ENCRYPTION_CONTEXT'],
    ...['NET_BW_EGR_KILOBIT_PER_SEC', 'NET_BW_IGR_KILOBIT_PER_SEC', 'NET_PACKET_RATE_KILOPACKET_PER_SEC'],
    ...['NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC', 'NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC'],
  ])('%s is one of Placement’s own', (name) => {
    expect(readResourceClass(name)).toBe(name);
    expect(readResourceClass(` ${name.toLowerCase()} `)).toBe(name);
  });

  it.each([
    ['gold-vf', 'CUSTOM_GOLD_VF'],
    [' gold.vf ', 'CUSTOM_GOLD_VF'],
    ['CUSTOM_GOLD', 'CUSTOM_GOLD'],
    ['custom_gold', 'CUSTOM_GOLD'],
    ['my_custom_gold', 'CUSTOM_MY_CUSTOM_GOLD'],
    ['VGPUS', 'CUSTOM_VGPUS'],
  ])('%j becomes %s', (name, expected) => {
    expect(readResourceClass(name)).toBe(expected);
  });

  it('of a device whose entry names none is made of its ids', () => {
    expect(defaultResourceClass({ vendorId: '10de', productId: '1bb0' })).toBe('CUSTOM_PCI_10DE_1BB0');
  });
});

describe('traits', () => {
  it.each<[unknown, string[]]>([
    ['gold, silver ', ['CUSTOM_GOLD', 'CUSTOM_SILVER']],
    [
      ['gold', 'GOLD', 'silver'],
      ['CUSTOM_GOLD', 'CUSTOM_SILVER'],
    ],
    ['hw_nic_offload_tso', ['HW_NIC_OFFLOAD_TSO']],
    [
      ['COMPUTE_X', 'MISC_X', 'OWNER_X', 'STORAGE_X', 'HW_X'],
      ['COMPUTE_X', 'MISC_X', 'OWNER_X', 'STORAGE_X', 'HW_X'],
    ],
    ['MY_HW_X', ['CUSTOM_MY_HW_X']],
    ['HW_X-Y', ['CUSTOM_HW_X_Y']],
    ['HW_', ['CUSTOM_HW_']],
    [[], []],
    [Array.from({ length: 64 }, () => 'gold'), ['CUSTOM_GOLD']],
  ])('reads %j', (value, expected) => {
    expect(readTraits(value)).toEqual(expected);
  });

  it.each<[unknown, string]>([
    ['gold,', 'has an empty name in it; remove the comma too many'],
    ['gold, ,silver', 'has an empty name in it; remove the comma too many'],
    [['gold', ''], 'has an empty name in it; remove the comma too many'],
    [['gold', 1], 'a number; write "1" in quotes'],
    [null, 'has to be a list of names, or "a,b", not null'],
    [{ gold: true }, 'has to be a list of names, or "a,b", not an object'],
    [Array.from({ length: 65 }, () => 'gold'), 'names 65 traits; at most 64'],
  ])('refuses %j: %s', (value, message) => {
    expect(problem(readTraits, value)).toBe(message);
  });
});

describe('counts', () => {
  it.each<[unknown, number]>([
    [0, 0],
    [7, 7],
    ['0', 0],
    ['12', 12],
    ['999999999', 999_999_999],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ])('reads %j as %j', (value, expected) => {
    expect(readCount(value)).toBe(expected);
  });

  it.each<[unknown, string]>([
    [-1, 'the number -1'],
    [1.5, 'the number 1.5'],
    [2 ** 53, 'the number 9007199254740992'],
    ['', '""'],
    ['-1', '"-1"'],
    ['x1', '"x1"'],
    ['1x', '"1x"'],
    [' 1', '" 1"'],
    ['1e3', '"1e3"'],
    ['1234567890', '"1234567890"'],
    [true, 'the boolean true'],
    [null, 'null'],
    [[5], 'a list'],
  ])('refuses %j', (value, shown) => {
    expect(problem(readCount, value)).toBe(`has to be a whole number from 0 on, not ${shown}`);
  });
});
