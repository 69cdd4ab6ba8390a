import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guestCellPlacements } from './guest-cells.js';

const host = (id: number, cpus: number, memoryMb = 1024) => ({ id, cpus, memoryMb });
const guest = (vcpus: number, memoryMb = 512) => ({ vcpus, memoryMb });

/** Every ordered choice, tried one by one. */
function naive(
  hosts: ReturnType<typeof host>[],
  guests: ReturnType<typeof guest>[],
  chosen: number[] = [],
): number[][] {
  const next = guests[chosen.length];
  if (!next) return [chosen];
  return hosts
    .filter(({ id, cpus, memoryMb }) => !chosen.includes(id) && cpus >= next.vcpus && memoryMb >= next.memoryMb)
    .flatMap(({ id }) => naive(hosts, guests, [...chosen, id]));
}

describe('guest cells on host cells', () => {
  it('come in the order of the host cells', () => {
    expect([...guestCellPlacements([host(2, 4), host(0, 2), host(1, 4)], [guest(4), guest(1)])]).toEqual([
      ...[[2, 0], [2, 1], [1, 2], [1, 0]], // prettier-ignore
    ]);
  });

  it('are as many as trying all choices finds', () => {
    const cpus = fc.integer({ min: 1, max: 4 });
    fc.assert(
      fc.property(fc.array(cpus, { maxLength: 4 }), fc.array(cpus, { maxLength: 4 }), (hosts, guests) => {
        const hostCells = hosts.map((count, id) => host(id, count));
        const guestCells = guests.map((count) => guest(count));
        expect([...guestCellPlacements(hostCells, guestCells)]).toEqual(naive(hostCells, guestCells));
      }),
    );
  });

  it('are found, or found impossible, without trying every order of many', () => {
    const many = Array.from({ length: 32 }, (_, id) => host(id, 4));
    expect(
      guestCellPlacements(
        many,
        Array.from({ length: 32 }, () => guest(4)),
      ).next().value,
    ).toHaveLength(32);
    expect([
      ...guestCellPlacements(
        many,
        Array.from({ length: 33 }, () => guest(1)),
      ),
    ]).toEqual([]);
    const oneTooLarge = [...Array.from({ length: 31 }, () => guest(4)), guest(8)];
    expect([...guestCellPlacements(many, oneTooLarge)]).toEqual([]);
    expect([...guestCellPlacements(many, [guest(4), guest(4, 4096)])]).toEqual([]);
  });
});
