import { describe, expect, it } from 'vitest';
import { poolsOf } from './pool.js';

type PoolDevice = Parameters<typeof poolsOf>[0][number];

function device(address: string, more: Partial<PoolDevice> = {}): PoolDevice {
  return {
    address,
    vendorId: '8086',
    productId: '154c',
    deviceType: 'type-VF',
    numaNode: 0,
    parentAddress: '0000:05:00.0',
    offer: { tags: {} },
    ...more,
  };
}

describe('pools', () => {
  it('VFs of one PF share a pool; another node, parent or tag makes another; fewest tags come first', () => {
    const pools = poolsOf([
      device('0000:05:02.1', { offer: { tags: { physical_network: 'physnet1' } } }),
      device('0000:06:02.0', { parentAddress: '0000:06:00.0' }),
      device('0000:05:02.2', { numaNode: null }),
      device('0000:05:02.0'),
      device('0000:05:02.3'),
    ]);
    expect(pools.map((pool) => [pool.count, pool.addresses, pool.key['address'], pool.key['numa_node']])).toEqual([
      [2, ['0000:05:02.0', '0000:05:02.3'], '0000:05:00.0', 0],
      [1, ['0000:05:02.2'], '0000:05:00.0', null],
      [1, ['0000:06:02.0'], '0000:06:00.0', 0],
      [1, ['0000:05:02.1'], '0000:05:00.0', 0],
    ]);
    expect(pools[3]?.key).toEqual({
      address: '0000:05:00.0',
      dev_type: 'type-VF',
      numa_node: 0,
      physical_network: 'physnet1',
      product_id: '154c',
      remote_managed: 'false',
      vendor_id: '8086',
    });
  });

  it('plain devices are one pool each, without remote_managed; what is not offered is in none', () => {
    const plain = { deviceType: 'type-PCI', parentAddress: null } as const;
    const pools = poolsOf([
      device('0000:01:00.0', plain),
      device('0000:02:00.0', plain),
      device('0000:03:00.0', { offer: null }),
    ]);
    expect(pools.map((pool) => pool.key['address'])).toEqual(['0000:01:00.0', '0000:02:00.0']);
    expect(pools[0]?.key).not.toHaveProperty('remote_managed');
  });

  it('does not depend on the order of devices', () => {
    const devices = [device('0000:05:02.0'), device('0000:05:02.1', { numaNode: 1 }), device('0000:05:02.2')];
    expect(poolsOf([...devices].reverse())).toEqual(poolsOf(devices));
  });
});
