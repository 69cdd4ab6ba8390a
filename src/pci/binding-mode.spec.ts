import { expect, it } from 'vitest';
import { bindingMode, isVfioDriver } from './binding-mode.js';

it.each([
  [{}, { managed: true, driver: 'vfio-pci' }],
  [{ managed: 'true' }, { managed: true, driver: 'vfio-pci' }],
  [{ managed: 'false' }, { managed: false, driver: 'vfio-pci' }],
  [{ managed: ' NO ' }, { managed: false, driver: 'vfio-pci' }],
  [{ managed: '0' }, { managed: false, driver: 'vfio-pci' }],
  [{ managed: null }, { managed: true, driver: 'vfio-pci' }],
  [{ vfio_driver: 'mlx5_vfio_pci' }, { managed: true, driver: 'mlx5_vfio_pci' }],
  [{ handover: 'vfio' }, { managed: true, driver: 'vfio-pci' }],
  [{ handover: ' NetDev' }, { managed: true, driver: 'vfio-pci', handover: 'netdev' }],
  [
    { handover: 'netdev', managed: 'no', vfio_driver: 'x' },
    { managed: true, driver: 'vfio-pci', handover: 'netdev' },
  ],
])('%j is bound as %j', (tags, mode) => {
  expect(bindingMode(tags)).toEqual(mode);
});

it('vfio drivers are known by their names', () => {
  const names = ['vfio-pci', 'mlx5_vfio_pci', 'nvidia', 'pci-stub', null];
  expect(names.filter(isVfioDriver)).toEqual(['vfio-pci', 'mlx5_vfio_pci']);
});
