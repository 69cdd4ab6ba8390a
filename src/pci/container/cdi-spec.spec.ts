import { describe, expect, it } from 'vitest';
import { CDI_KIND, cdiDeviceName, cdiSpec } from './cdi-spec.js';
import type { ContainerDevice } from './container-device.js';
import { cdiRunArguments, runArguments } from './run-arguments.js';

const SERVER = '0b1f7a3e-4c52-4a57-9d0e-2f6f7f0c9a11';
const GPU: ContainerDevice = { address: '0000:83:00.0', vfioGroup: 25 };
const AUDIO: ContainerDevice = { address: '0000:83:00.1', vfioGroup: 25 };
const VF: ContainerDevice = { address: '0000:0a:10.2', vfioGroup: 7 };
const FAR: ContainerDevice = { address: '10000:01:00.0', vfioGroup: 0 };
const NIC: ContainerDevice = { address: '0000:21:00.0', vfioGroup: null, netdev: 'ens1f0' };

/** The names that version 0.5.0 of the interface allows (`ValidateVendorName`, `ValidateClassName`, `ValidateDeviceName`). */
const KIND = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?\/[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/;
const NAME = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/;

const node = (path: string) => ({ path, hostPath: path, permissions: 'rw' });

describe('a CDI file', () => {
  it('has one device for the whole server and one for each function', () => {
    expect(cdiSpec(SERVER, [GPU, VF])).toEqual({
      cdiVersion: '0.5.0',
      kind: 'berth.dev/pci',
      devices: [
        {
          name: SERVER,
          containerEdits: {
            env: ['PCIDEVICE_BERTH_DEV_PCI=0000:0a:10.2,0000:83:00.0'],
            deviceNodes: [node('/dev/vfio/vfio'), node('/dev/vfio/7'), node('/dev/vfio/25')],
          },
        },
        {
          name: '0000:0a:10.2',
          containerEdits: {
            env: ['PCIDEVICE_BERTH_DEV_PCI_0000_0A_10_2=0000:0a:10.2'],
            deviceNodes: [node('/dev/vfio/vfio'), node('/dev/vfio/7')],
          },
        },
        {
          name: '0000:83:00.0',
          containerEdits: {
            env: ['PCIDEVICE_BERTH_DEV_PCI_0000_83_00_0=0000:83:00.0'],
            deviceNodes: [node('/dev/vfio/vfio'), node('/dev/vfio/25')],
          },
        },
      ],
    });
  });

  it('names a file once however many functions are in the group', () => {
    const [whole] = cdiSpec(SERVER, [AUDIO, GPU]).devices;
    expect(whole?.containerEdits).toEqual({
      env: ['PCIDEVICE_BERTH_DEV_PCI=0000:83:00.0,0000:83:00.1'],
      deviceNodes: [node('/dev/vfio/vfio'), node('/dev/vfio/25')],
    });
  });

  it('does not depend on the order of the devices', () => {
    expect(cdiSpec(SERVER, [FAR, GPU, VF, AUDIO])).toEqual(cdiSpec(SERVER, [VF, AUDIO, FAR, GPU]));
  });

  it('gives no files to a device that stays with its driver, and has its interface taken into the container', () => {
    for (const { containerEdits } of cdiSpec(SERVER, [NIC]).devices) {
      expect(containerEdits).toEqual({
        env: [expect.stringMatching(/^PCIDEVICE_BERTH_DEV_PCI\w*=0000:21:00\.0$/)],
        hooks: [expect.objectContaining({ hookName: 'createRuntime', path: '/bin/sh' })],
      });
      expect(containerEdits.hooks?.[0]?.args.at(-1)).toBe('ens1f0');
    }
  });

  it('has only names that the interface allows, each once', () => {
    const names = cdiSpec(SERVER, [GPU, AUDIO, VF, FAR, NIC]).devices.map(({ name }) => name);
    expect(CDI_KIND).toMatch(KIND);
    for (const name of names) expect(name).toMatch(NAME);
    expect(new Set(names).size).toBe(6);
    expect(cdiDeviceName(GPU.address)).toBe('berth.dev/pci=0000:83:00.0');
  });
});

describe('arguments of docker run and podman run', () => {
  it('hand the files over, with memory to be pinned', () => {
    expect(runArguments([GPU, AUDIO, FAR])).toEqual([
      '--device=/dev/vfio/vfio:/dev/vfio/vfio:rw',
      '--device=/dev/vfio/25:/dev/vfio/25:rw',
      '--device=/dev/vfio/0:/dev/vfio/0:rw',
      '--ulimit=memlock=-1:-1',
      '--env=PCIDEVICE_BERTH_DEV_PCI=0000:83:00.0,0000:83:00.1,10000:01:00.0',
    ]);
    expect(cdiRunArguments(SERVER, [GPU])).toEqual([`--device=berth.dev/pci=${SERVER}`, '--ulimit=memlock=-1:-1']);
  });

  it('ask for neither where the host keeps the driver', () => {
    expect(runArguments([NIC])).toEqual(['--env=PCIDEVICE_BERTH_DEV_PCI=0000:21:00.0']);
    expect(cdiRunArguments(SERVER, [NIC])).toEqual([`--device=berth.dev/pci=${SERVER}`]);
  });
});
