import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEMO_HOSTS } from '../recorded-hosts/demo-fleet.js';
import { placeHost } from '../recorded-hosts/layout.js';
import { deviceGroups } from './device-groups.js';
import type { DeviceType } from './device.js';

type Reported = Parameters<typeof deviceGroups>[0][number];

/** `0000:81:00.0 10de:20b0 030200 pci0000:80/0000:80:01.0`. */
function reported(line: string, more: Partial<Reported> = {}): Reported {
  const [address = '', ids = '', classCode = '', path = ''] = line.split(' ');
  return {
    ...{ address, vendorId: ids.slice(0, 4), classCode, pciePath: path.split('/') },
    ...{ deviceType: 'type-PCI', offered: true },
    ...more,
  };
}

/** Slots and cards of more than one function, each once. */
function groupsOf(devices: readonly Reported[]): { slots: string[]; cards: string[] } {
  const { slot, card } = deviceGroups(devices);
  const texts = (groups: typeof slot): string[] => [
    ...new Set([...groups.values()].map(({ members }) => members.map((address) => address.slice(5)).join(' '))),
  ];
  return { slots: texts(slot), cards: texts(card) };
}

describe('slots and cards of recorded hosts', () => {
  interface Recorded {
    readonly trees: Readonly<Record<string, readonly (readonly unknown[])[]>>;
  }
  const { trees } = JSON.parse(readFileSync('test/fixtures/recorded-devices.json', 'utf8')) as Recorded;
  const recordedTree = (name: string): Reported[] =>
    (trees[name] ?? []).map((row) => {
      const [address, vendor, , classCode] = row as string[];
      const path = String(row[14]).replace('sys/devices/', '').split('/').slice(0, -1).join('/');
      const deviceType: DeviceType = row[10] === null ? 'type-PCI' : 'type-VF';
      return reported(`${address} ${vendor?.slice(2)} ${classCode?.slice(2)} ${path}`, { deviceType });
    });

  it.each([
    ['accel', ['25:00.0 25:00.1', '85:00.0 85:00.1'], ['25:00.0 25:00.1', '85:00.0 85:00.1']],
    // two NICs of a conventional PCI bus are one card; those of a switch of another make are two
    ['full', ['23:00.0 23:00.1'], ['23:00.0 23:00.1', '67:01.0 67:02.0']],
    // 22:00.1 and 22:00.2 are VFs
    ['full-active', ['23:00.0 23:00.1'], ['23:00.0 23:00.1', '67:01.0 67:02.0']],
    ['legacy', ['00:06.0 00:06.1'], ['00:06.0 00:06.1', '06:01.0 06:02.0']],
  ])('%s', (name, slots, cards) => {
    expect(groupsOf(recordedTree(name))).toEqual({ slots, cards });
  });

  const demoHost = (name: string): Reported[] =>
    placeHost(DEMO_HOSTS.find((host) => host.name === name) as (typeof DEMO_HOSTS)[number]).functions.map((one) =>
      reported(
        `${one.address} ${one.card.vendorId} ${one.card.classCode} ${one.directory.split('/').slice(2, -1).join('/')}`,
        { deviceType: one.physicalFunction ? 'type-VF' : 'type-PCI' },
      ),
    );

  it('GPUs and NICs behind one switch of a board are cards of their own', () => {
    expect(demoHost('node-3').filter(({ classCode }) => classCode === '030200')).toHaveLength(8);
    expect(groupsOf(demoHost('node-3'))).toEqual({ slots: [], cards: [] });
  });

  it('a GPU and its audio function, and two ports of a NIC, are one', () => {
    const gpus = ['83:00.0 83:00.1', '84:00.0 84:00.1'];
    expect(groupsOf(demoHost('node-2'))).toEqual({ slots: gpus, cards: gpus });
    expect(groupsOf(demoHost('node-1'))).toEqual({ slots: ['41:00.0 41:00.1'], cards: ['41:00.0 41:00.1'] });
  });
});

describe('cards', () => {
  const ROOT = 'pci0000:00/0000:00:01.0';
  const arc = [
    reported('0000:00:01.0 8086:4601 060400 pci0000:00'),
    reported(`0000:01:00.0 8086:4fa1 060400 ${ROOT}`),
    reported(`0000:02:01.0 8086:4fa4 060400 ${ROOT}/0000:01:00.0`),
    reported(`0000:02:04.0 8086:4fa4 060400 ${ROOT}/0000:01:00.0`),
    reported(`0000:03:00.0 8086:56a0 030000 ${ROOT}/0000:01:00.0/0000:02:01.0`),
    reported(`0000:04:00.0 8086:4f90 040300 ${ROOT}/0000:01:00.0/0000:02:04.0`),
  ];

  it('reach over a switch of their own', () => {
    expect(groupsOf(arc)).toEqual({ slots: [], cards: ['03:00.0 04:00.0'] });
  });

  it('end below a switch that other makers use, and at the root port', () => {
    const other = reported(`0000:05:00.0 10de:20b0 030200 ${ROOT}/0000:01:00.0/0000:02:05.0`);
    expect(groupsOf([...arc, other]).cards).toEqual([]);
    const nics = ['0', '1'].map((slot) => reported(`0000:06:0${slot}.0 8086:1572 020000 ${ROOT}`));
    const below = [reported(`0000:07:00.0 8086:1572 020000 pci0000:00/0000:00:02.0`)];
    expect(groupsOf([...arc.slice(0, 1), ...nics, ...below]).cards).toEqual(['06:00.0 06:01.0']);
  });

  it('on the root bus are slots', () => {
    const both = ['0', '1'].map((fn) => reported(`0000:00:1f.${fn} 8086:a1 020000 pci0000:00`));
    expect(groupsOf([...both, reported('0000:00:1e.0 8086:a2 020000 pci0000:00')]).cards).toEqual(['00:1f.0 00:1f.1']);
  });
});

describe('a group', () => {
  const gpu = reported('0000:83:00.0 10de:1bb0 030000 pci0000:80/0000:80:02.0');
  const audio = reported('0000:83:00.1 10de:10f0 040300 pci0000:80/0000:80:02.0');

  it('with a function that is not offered is blocked, and has the others as members', () => {
    const { slot, card } = deviceGroups([gpu, { ...audio, offered: false }]);
    expect([...slot.keys()]).toEqual([gpu.address]);
    expect(slot.get(gpu.address)).toEqual({
      members: [gpu.address],
      blockedBy: 'its slot also has 0000:83:00.1, which is not offered; offer it as well',
    });
    expect(card.get(gpu.address)?.blockedBy).toBe(
      'its card also has 0000:83:00.1, which is not offered; offer it as well',
    );
  });

  it('does not count VFs and bridges', () => {
    const vf: Reported = { ...audio, deviceType: 'type-VF' };
    expect(groupsOf([gpu, vf, { ...audio, address: '0000:83:00.2', classCode: '060400' }])).toEqual({
      slots: [],
      cards: [],
    });
  });
});
