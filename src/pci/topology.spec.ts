import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DISTANCES,
  distanceBetween,
  isRedirected,
  LEVELS,
  spreadOf,
  topologyOf,
  type Distance,
  type TopologyPoint,
} from './topology.js';

type Row = readonly [a: string, b: string, distance: Distance];

const at = (address: string, numaNode: number | null, ...pciePath: string[]): TopologyPoint => {
  return { address, numaNode, pciePath };
};

/** What is behind a switch: its downstream ports have the bus behind the upstream port. */
function behindSwitch(root: string, bus: number, node: number, addresses: readonly string[]): TopologyPoint[] {
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  const switchPath = [root, `${root.slice(3)}:01.0`, `0000:${hex(bus)}:00.0`];
  return addresses.map((address, port) => at(address, node, ...switchPath, `0000:${hex(bus + 1)}:${hex(4 * port)}.0`));
}

/** Eight GPUs and NICs on four switches, two switches a socket, each on a root complex of its own. */
const HGX = [
  ...behindSwitch('pci0000:15', 0x16, 0, ['0000:18:00.0', '0000:19:00.0', '0000:1a:00.0']),
  ...behindSwitch('pci0000:37', 0x38, 0, ['0000:3a:00.0', '0000:3b:00.0', '0000:3c:00.0']),
  ...behindSwitch('pci0000:97', 0x98, 1, ['0000:9a:00.0', '0000:9b:00.0', '0000:9c:00.0']),
  ...behindSwitch('pci0000:b7', 0xb8, 1, ['0000:ba:00.0', '0000:bb:00.0', '0000:bc:00.0']),
];

const CASCADE = ['pci0000:40', '0000:40:01.0', '0000:41:00.0'];
/** A switch below a switch, beside another one; and a second root port. */
const CASCADED = [
  at('0000:50:00.0', 0, ...CASCADE, '0000:42:00.0', '0000:43:00.0', '0000:44:00.0'),
  at('0000:51:00.0', 0, ...CASCADE, '0000:42:00.0', '0000:43:00.0', '0000:44:01.0'),
  at('0000:52:00.0', 0, ...CASCADE, '0000:42:01.0', '0000:45:00.0', '0000:46:00.0'),
  at('0000:53:00.0', 0, ...CASCADE, '0000:42:02.0'),
  at('0000:54:00.0', 0, ...CASCADE, '0000:42:03.0'),
  at('0000:55:00.0', 0, 'pci0000:40', '0000:40:02.0'),
];

const OTHERS = [
  // two cards in root ports of one host bridge, one with two functions
  at('0000:83:00.0', 1, 'pci0000:80', '0000:80:02.0'),
  at('0000:83:00.1', 1, 'pci0000:80', '0000:80:02.0'),
  at('0000:84:00.0', 1, 'pci0000:80', '0000:80:03.0'),
  // integrated endpoints
  at('0000:80:01.0', 1, 'pci0000:80'),
  at('0000:80:01.1', 1, 'pci0000:80'),
  at('0000:80:04.0', 1, 'pci0000:80'),
  // a PF, VFs in its slot and in further ones; integrated, so that only the PF tells that they belong together
  { ...at('0000:6b:00.0', 0, 'pci0000:6a'), parentAddress: null },
  { ...at('0000:6b:00.1', 0, 'pci0000:6a'), parentAddress: '0000:6b:00.0' },
  { ...at('0000:6b:01.1', 0, 'pci0000:6a'), parentAddress: '0000:6b:00.0' },
  // a PF of a card, with a VF on the bus after its own
  { ...at('0000:c1:00.0', 1, 'pci0000:c0', '0000:c0:01.0'), parentAddress: null },
  { ...at('0000:c2:00.0', 1, 'pci0000:c0', '0000:c0:01.0'), parentAddress: '0000:c1:00.0' },
  // Intel's VMD, and a card beside it
  at('10000:01:00.0', 1, 'pci0000:d7', '0000:d7:05.5', 'pci10000:00', '10000:00:02.0'),
  at('10000:02:00.0', 1, 'pci0000:d7', '0000:d7:05.5', 'pci10000:00', '10000:00:03.0'),
  at('10000:03:00.0', 1, 'pci0000:d7', '0000:d7:05.5', 'pci10000:00', '10000:00:03.0'),
  at('0000:d8:00.0', 1, 'pci0000:d7', '0000:d7:01.0'),
  // a domain for each device, as on Hyper-V
  at('0001:00:00.0', 0, 'pci0001:00'),
  at('0002:00:00.0', 0, 'pci0002:00'),
  // the platform does not say where
  at('0000:e1:00.0', null, 'pci0000:e0', '0000:e0:01.0'),
  at('0000:e2:00.0', null, 'pci0000:e0', '0000:e0:02.0'),
  at('0000:f1:00.0', null, 'pci0000:f0', '0000:f0:01.0'),
  // only one of the host bridge's functions does
  at('0000:21:00.0', 0, 'pci0000:20', '0000:20:01.0'),
  at('0000:22:00.0', null, 'pci0000:20', '0000:20:02.0'),
  // they contradict each other: the first one counts
  at('0000:91:00.0', 0, 'pci0000:90', '0000:90:01.0'),
  at('0000:92:00.0', 1, 'pci0000:90', '0000:90:02.0'),
  // the way to them is not known
  at('0000:71:00.0', 0),
  at('0000:71:00.1', 0),
  at('0000:72:00.0', 0),
  at('0000:73:00.0', null),
];

describe('distances', () => {
  const check = (points: readonly TopologyPoint[], [a, b, distance]: Row): void => {
    const topology = topologyOf(points);
    expect([a, b].every((address) => topology.has(address))).toBe(true);
    expect(distanceBetween(topology, a, b)).toBe(distance);
  };

  it.each<Row>([
    ['0000:18:00.0', '0000:18:00.0', 'SELF'],
    ['0000:18:00.0', '0000:19:00.0', 'PIX'],
    ['0000:18:00.0', '0000:1a:00.0', 'PIX'],
    ['0000:18:00.0', '0000:3a:00.0', 'NODE'],
    ['0000:1a:00.0', '0000:3c:00.0', 'NODE'],
    ['0000:18:00.0', '0000:9a:00.0', 'SYS'],
    ['0000:9c:00.0', '0000:ba:00.0', 'NODE'],
  ])('on a board with four switches: %s and %s are %s', (...row) => check(HGX, row));

  it.each<Row>([
    ['0000:50:00.0', '0000:51:00.0', 'PIX'],
    ['0000:50:00.0', '0000:52:00.0', 'PXB'],
    ['0000:50:00.0', '0000:53:00.0', 'PXB'],
    ['0000:53:00.0', '0000:54:00.0', 'PIX'],
    ['0000:50:00.0', '0000:55:00.0', 'PHB'],
    ['0000:53:00.0', '0000:55:00.0', 'PHB'],
  ])('with switches below switches: %s and %s are %s', (...row) => check(CASCADED, row));

  it.each<Row>([
    ['0000:83:00.0', '0000:83:00.1', 'PIX'],
    ['0000:83:00.0', '0000:84:00.0', 'PHB'],
    ['0000:80:01.0', '0000:80:01.1', 'PIX'],
    ['0000:80:01.0', '0000:80:04.0', 'PHB'],
    ['0000:80:01.0', '0000:83:00.0', 'PHB'],
    ['0000:6b:00.0', '0000:6b:00.1', 'PIX'],
    ['0000:6b:00.1', '0000:6b:01.1', 'PIX'],
    ['0000:c1:00.0', '0000:c2:00.0', 'PIX'],
    ['10000:02:00.0', '10000:03:00.0', 'PIX'],
    ['10000:01:00.0', '10000:02:00.0', 'PHB'],
    ['10000:01:00.0', '0000:d8:00.0', 'PHB'],
    ['0001:00:00.0', '0002:00:00.0', 'NODE'],
    ['0000:e1:00.0', '0000:e2:00.0', 'PHB'],
    ['0000:e1:00.0', '0000:f1:00.0', 'SYS'],
    ['0000:e1:00.0', '0000:83:00.0', 'SYS'],
    ['0000:22:00.0', '0000:6b:00.0', 'NODE'],
    ['0000:21:00.0', '0000:22:00.0', 'PHB'],
    ['0000:91:00.0', '0000:92:00.0', 'PHB'],
    ['0000:92:00.0', '0000:21:00.0', 'NODE'],
    ['0000:92:00.0', '0000:83:00.0', 'SYS'],
    ['0000:71:00.0', '0000:71:00.1', 'PIX'],
    ['0000:71:00.0', '0000:72:00.0', 'NODE'],
    ['0000:72:00.0', '0000:73:00.0', 'SYS'],
  ])('elsewhere: %s and %s are %s', (...row) => check(OTHERS, row));

  it('from what is not there are the farthest', () => {
    const topology = topologyOf(HGX);
    expect(distanceBetween(topology, '0000:18:00.0', '0000:ff:00.0')).toBe('SYS');
    expect(distanceBetween(topology, '0000:ff:00.0', '0000:ff:00.1')).toBe('SYS');
    expect(distanceBetween(topology, '0000:ff:00.0', '0000:ff:00.0')).toBe('SELF');
  });

  it.each<[readonly string[], Distance]>([
    [[], 'SELF'],
    [['0000:18:00.0'], 'SELF'],
    [['0000:18:00.0', '0000:19:00.0', '0000:1a:00.0'], 'PIX'],
    [['0000:18:00.0', '0000:3a:00.0', '0000:19:00.0'], 'NODE'],
    [['0000:9a:00.0', '0000:18:00.0', '0000:19:00.0'], 'SYS'],
  ])('spread of %j is %s', (addresses, spread) => {
    expect(spreadOf(topologyOf(HGX), addresses)).toBe(spread);
  });
});

describe('redirection', () => {
  it.each<[readonly (boolean | null | undefined)[], boolean | null]>([
    [[], false],
    [[true], false],
    [[null], false],
    [[false, false], false],
    [[false, true], true],
    [[null, true, undefined], true],
    [[false, null], null],
    [[false, undefined, false], null],
  ])('of cards with %j is %j', (redirects, expected) => {
    const cards = redirects.map((acsRedirect, index) => {
      return { address: `0000:0${index}:00.0`, ...(acsRedirect !== undefined && { acsRedirect }) };
    });
    expect(isRedirected(cards)).toBe(expected);
  });

  it('is no matter of the functions of one card', () => {
    const pf = { address: '0000:25:00.0', parentAddress: null, acsRedirect: true };
    const port = { ...pf, address: '0000:25:00.1' };
    const vf = { ...pf, address: '0000:26:01.2', parentAddress: port.address };
    expect(isRedirected([pf, port, vf])).toBe(false);
    expect(isRedirected([pf, vf, { ...pf, address: '0000:27:00.0' }])).toBe(true);
  });
});

/** Any points: few names on each level, so that they meet. */
const points = fc
  .array(
    fc.record({
      path: fc.tuple(fc.nat(2), fc.array(fc.nat(1), { maxLength: 5 })),
      numaNode: fc.option(fc.nat(2)),
      unknown: fc.nat(7),
      slot: fc.nat(3),
    }),
    { minLength: 3, maxLength: 12 },
  )
  .map((sketches) =>
    sketches.map(({ path: [bridge, hops], numaNode, unknown, slot }, index): TopologyPoint => {
      const ports = hops.map((_, depth) => `0000:${bridge}${hops.slice(0, depth + 1).join('')}:00.0`);
      return {
        address: `0000:${index.toString(16).padStart(2, '0')}:0${slot}.0`,
        pciePath: unknown === 0 ? [] : [`pci0000:${bridge}0`, ...ports],
        numaNode,
      };
    }),
  );

describe('any host', () => {
  const far = (distance: Distance): number => DISTANCES.indexOf(distance);

  it('has the same distance there and back, and none from a function to itself only', () => {
    fc.assert(
      fc.property(points, (host) => {
        const topology = topologyOf(host);
        for (const a of host) {
          for (const b of host) {
            const distance = distanceBetween(topology, a.address, b.address);
            expect(distanceBetween(topology, b.address, a.address)).toBe(distance);
            expect(distance === 'SELF').toBe(a === b);
          }
        }
      }),
    );
  });

  it('is ultrametric: no detour is shorter than its longest part', () => {
    fc.assert(
      fc.property(points, (host) => {
        const topology = topologyOf(host);
        const between = (a: TopologyPoint, b: TopologyPoint) => far(distanceBetween(topology, a.address, b.address));
        for (const a of host) {
          for (const b of host) {
            for (const c of host) expect(between(a, c)).toBeLessThanOrEqual(Math.max(between(a, b), between(b, c)));
          }
        }
      }),
    );
  });

  it('has neighbourhoods that nest', () => {
    fc.assert(
      fc.property(points, (host) => {
        const all = [...topologyOf(host).values()];
        for (const [inner, outer] of LEVELS.slice(1).map((level, index) => [LEVELS[index] ?? level, level] as const)) {
          const outerOf = new Map(all.map((where) => [where[inner], where[outer]]));
          for (const where of all) expect(where[outer]).toBe(outerOf.get(where[inner]));
        }
      }),
    );
  });

  it('is told the same in whatever order its functions are listed', () => {
    fc.assert(
      fc.property(points, fc.func(fc.nat()), (host, chance) => {
        const shuffled = [...host].sort((a, b) => chance(a.address) - chance(b.address));
        expect([...topologyOf(shuffled)]).toEqual([...topologyOf(host)]);
      }),
    );
  });
});
