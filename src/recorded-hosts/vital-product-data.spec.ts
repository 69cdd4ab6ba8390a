import { describe, expect, it } from 'vitest';
import * as cards from './cards.js';
import { bridge, device } from './description.js';
import { sriovNicHost } from './demo-fleet.js';
import { generateHost } from './generator.js';
import { packTree, unpackTree, type TreeEntry } from './tree.js';

describe('Vital Product Data of generated hosts', () => {
  const children = [
    bridge('01.0', cards.ROOT_PORT, 0x41, [device('00.0', cards.BLUEFIELD2, { vfs: 2, serialNumber: 'MT2113X00123' })]),
    bridge('02.0', cards.ROOT_PORT, 0x42, [device('00.0', cards.BLUEFIELD2)]),
  ];
  const tree = generateHost({ ...sriovNicHost('dpu'), roots: [{ bus: 0x40, numaNode: 0, children }] });
  const found = tree.entries.filter(({ path }) => path.endsWith('/vpd'));

  it('is there for a card that has a serial number, root may read it, and its VFs have none', () => {
    expect(found).toMatchObject([
      { path: 'sys/devices/pci0000:40/0000:40:01.0/0000:41:00.0/vpd', kind: 'file', mode: 0o600 },
    ]);
  });

  it('is what lspci takes for such data: name, fields, a checksum over all before it, the end', () => {
    const bytes = Buffer.from((found[0] as TreeEntry & { content: Uint8Array }).content);
    const nameEnd = 3 + bytes.readUInt16LE(1);
    expect([bytes[0], bytes.subarray(3, nameEnd).toString()]).toEqual([0x82, cards.BLUEFIELD2.name]);
    expect([bytes[nameEnd], bytes.readUInt16LE(nameEnd + 1)]).toEqual([0x90, bytes.length - nameEnd - 4]);
    expect(bytes.toString('latin1')).toContain('SN\x0cMT2113X00123RV\x02');
    expect(bytes.subarray(0, -2).reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
    expect(bytes.at(-1)).toBe(0x78);
  });

  it('keeps its bytes in a packed tree', () => {
    const packed = unpackTree(packTree(tree)).entries.find(({ path }) => path.endsWith('/vpd'));
    expect(packed).toEqual(found[0]);
  });
});
