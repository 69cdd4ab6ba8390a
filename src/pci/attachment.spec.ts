import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { libvirtHostdev, qemuArguments, vfioGroupFile } from './attachment.js';

describe('attachments', () => {
  it.each([
    ['0000:83:00.0', { domain: '0x0000', bus: '0x83', slot: '0x00', function: '0x0' }],
    ['0000:0a:1f.7', { domain: '0x0000', bus: '0x0a', slot: '0x1f', function: '0x7' }],
    ['10000:01:00.0', { domain: '0x10000', bus: '0x01', slot: '0x00', function: '0x0' }],
  ])('%s becomes a hostdev that libvirt must not manage', (address, source) => {
    const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' });
    expect(parser.parse(libvirtHostdev(address))).toEqual({
      hostdev: { mode: 'subsystem', type: 'pci', managed: 'no', driver: { name: 'vfio' }, source: { address: source } },
    });
  });

  it('names the device to QEMU and the group file', () => {
    expect(qemuArguments('0000:83:00.0')).toEqual(['-device', 'vfio-pci,host=0000:83:00.0']);
    expect(vfioGroupFile(25)).toBe('/dev/vfio/25');
    expect(vfioGroupFile(0)).toBe('/dev/vfio/0');
    expect(vfioGroupFile(null)).toBeNull();
  });
});
