import { describe, expect, it } from 'vitest';
import type { FlavorEntity } from '../../../store/entities/catalog.entities.js';
import { flavorLink, flavorView } from './flavors.views.js';

const BASE = 'http://berth.example:8790';
const FLAVOR: FlavorEntity = {
  ...{ id: 'g1', name: 'gpu', vcpus: 4, ram_mb: 8192, disk_gb: 40, ephemeral_gb: 10, swap_mb: 0, rxtx_factor: 1 },
  ...{ is_public: true, description: null, extra_specs: { 'pci_passthrough:alias': 'gpu:1' }, created_at: new Date(0) },
};
const LINKS = [
  { rel: 'self', href: `${BASE}/compute/v2.1/flavors/g1` },
  { rel: 'bookmark', href: `${BASE}/compute/flavors/g1` },
];
const FIRST = {
  ...{ id: 'g1', name: 'gpu', vcpus: 4, ram: 8192, disk: 40, swap: '', links: LINKS, rxtx_factor: 1 },
  ...{ 'OS-FLV-EXT-DATA:ephemeral': 10, 'OS-FLV-DISABLED:disabled': false, 'os-flavor-access:is_public': true },
};

describe('flavors as Nova shows them', () => {
  it.each([
    [1, FIRST],
    [54, FIRST],
    [55, { ...FIRST, description: null }],
    [61, { ...FIRST, description: null, extra_specs: FLAVOR.extra_specs }],
    [74, { ...FIRST, description: null, extra_specs: FLAVOR.extra_specs }],
    [75, { ...FIRST, description: null, extra_specs: FLAVOR.extra_specs, swap: 0 }],
  ])('2.%i', (minor, view) => {
    expect(flavorView(FLAVOR, minor, BASE)).toEqual(view);
  });

  it('has swap as a number when there is some', () => {
    expect(flavorView({ ...FLAVOR, swap_mb: 512 }, 1, BASE)).toMatchObject({ swap: 512 });
  });

  it('in short', () => {
    expect(flavorLink(FLAVOR, 54, BASE)).toEqual({ id: 'g1', name: 'gpu', links: LINKS });
    expect(flavorLink(FLAVOR, 55, BASE)).toEqual({ id: 'g1', name: 'gpu', links: LINKS, description: null });
  });
});
