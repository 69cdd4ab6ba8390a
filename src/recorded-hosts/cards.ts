import type { Bar, Card } from './description.js';

/** Real PCI ids, classes and drivers; sizes and subsystem ids are plausible ones of the same make. */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const bar = (index: number, kind: Bar['kind'], bytes: number): Bar => ({ index, kind, bytes });

const PLAIN = {
  revision: '00',
  driver: null,
  link: null,
  bars: [],
  resetMethods: [],
  acs: false,
  port: null,
  presents: 'nothing',
  sriov: null,
} as const satisfies Partial<Card>;

/** A card with what most cards have filled in. */
export function card(facts: Pick<Card, 'name' | 'vendorId' | 'productId' | 'classCode'> & Partial<Card>): Card {
  return { ...PLAIN, subsystemVendorId: facts.vendorId, subsystemProductId: '0000', ...facts };
}

// Bridges

/** Intel Xeon (Skylake-SP) root port A. */
export const ROOT_PORT = card({
  name: 'Intel Sky Lake-E PCI Express Root Port A',
  vendorId: '8086',
  productId: '2030',
  classCode: '060400',
  revision: '04',
  driver: 'pcieport',
  link: { speed: 16, width: 16 },
  acs: true,
  port: 'root',
});

/** A root port of older machines: the kernel cannot keep apart what is behind it. */
export const ROOT_PORT_WITHOUT_ACS: Card = {
  ...ROOT_PORT,
  productId: '2f02',
  name: 'Xeon E7 v3 Root Port',
  acs: false,
};

const PEX = { vendorId: '1000', productId: 'c010', classCode: '060400', revision: 'b0', driver: 'pcieport' } as const;

export const SWITCH_UPSTREAM = card({
  ...PEX,
  name: 'Broadcom PEX880xx PCIe Gen 4 switch, upstream port',
  link: { speed: 16, width: 16 },
  resetMethods: ['bus'],
  port: 'upstream',
});

export const SWITCH_DOWNSTREAM = card({
  ...PEX,
  name: 'Broadcom PEX880xx PCIe Gen 4 switch, downstream port',
  link: { speed: 16, width: 16 },
  resetMethods: ['bus'],
  acs: true,
  port: 'downstream',
});

export const HOST_BRIDGE = card({
  name: 'Intel Sky Lake-E DMI3 Registers',
  vendorId: '8086',
  productId: '2020',
  classCode: '060000',
  revision: '04',
});

// GPUs

/** Quadro P5000: the card of the charms guide. */
export const P5000 = card({
  name: 'NVIDIA Quadro P5000',
  vendorId: '10de',
  productId: '1bb0',
  classCode: '030000',
  subsystemProductId: '11b2',
  revision: 'a1',
  driver: 'nouveau',
  link: { speed: 8, width: 16 },
  bars: [bar(0, 'memory', 16 * MIB), bar(1, 'prefetchable64', 256 * MIB), bar(5, 'io', 128)],
  resetMethods: ['bus'],
});

/** The sound on the P5000's HDMI plug: function 1 of the same slot, in the same IOMMU group. */
export const P5000_AUDIO = card({
  name: 'NVIDIA GP104 High Definition Audio Controller',
  vendorId: '10de',
  productId: '10f0',
  classCode: '040300',
  subsystemProductId: '11b2',
  revision: 'a1',
  driver: 'snd_hda_intel',
  link: { speed: 8, width: 16 },
  bars: [bar(0, 'memory', 16 * KIB)],
  resetMethods: ['bus'],
});

export const V100 = card({
  name: 'NVIDIA Tesla V100 PCIe 16GB',
  vendorId: '10de',
  productId: '1db4',
  classCode: '030200',
  subsystemProductId: '1214',
  revision: 'a1',
  driver: 'nouveau',
  link: { speed: 8, width: 16 },
  bars: [bar(0, 'memory', 16 * MIB), bar(1, 'prefetchable64', 16 * GIB), bar(3, 'prefetchable64', 32 * MIB)],
  resetMethods: ['bus'],
});

export const A100 = card({
  name: 'NVIDIA A100 SXM4 40GB',
  vendorId: '10de',
  productId: '20b0',
  classCode: '030200',
  subsystemProductId: '134f',
  revision: 'a1',
  driver: 'nouveau',
  link: { speed: 16, width: 16 },
  bars: [bar(0, 'memory', 16 * MIB), bar(1, 'prefetchable64', 64 * GIB), bar(3, 'prefetchable64', 32 * MIB)],
  resetMethods: ['flr', 'bus'],
});

export const H100 = card({
  name: 'NVIDIA H100 SXM5 80GB',
  vendorId: '10de',
  productId: '2330',
  classCode: '030200',
  subsystemProductId: '16c1',
  revision: 'a1',
  link: { speed: 32, width: 16 },
  bars: [bar(0, 'prefetchable64', 16 * MIB), bar(2, 'prefetchable64', 128 * GIB), bar(4, 'prefetchable64', 32 * MIB)],
  resetMethods: ['flr', 'bus'],
});

export const MI100 = card({
  name: 'AMD Instinct MI100',
  vendorId: '1002',
  productId: '738c',
  classCode: '038000',
  subsystemProductId: '0c34',
  revision: '01',
  driver: 'amdgpu',
  link: { speed: 16, width: 16 },
  bars: [bar(0, 'prefetchable64', 32 * GIB), bar(2, 'prefetchable64', 2 * MIB), bar(5, 'memory', 512 * KIB)],
  resetMethods: ['bus'],
});

export const RADEON_PRO = card({
  name: 'AMD Radeon Pro W6800',
  vendorId: '1002',
  productId: '73a3',
  classCode: '030000',
  subsystemProductId: '0e1e',
  driver: 'amdgpu',
  link: { speed: 16, width: 16 },
  bars: [bar(0, 'prefetchable64', 256 * MIB), bar(2, 'prefetchable64', 2 * MIB), bar(5, 'memory', 1 * MIB)],
  resetMethods: ['pm', 'bus'],
});

// Crypto

export const QUICKASSIST_VF = card({
  name: 'Intel DH895XCC QuickAssist, virtual function',
  vendorId: '8086',
  productId: '0443',
  classCode: '0b4000',
  driver: 'dh895xccvf',
  link: { speed: 5, width: 8 },
  bars: [bar(0, 'memory64', 4 * KIB), bar(2, 'memory64', 4 * KIB)],
  resetMethods: ['flr', 'bus'],
});

/** The PF of Zun's QuickAssist devices. Its VFs follow it in its own slot, so that `:0a:00.` names them. */
export const QUICKASSIST = card({
  name: 'Intel DH895XCC QuickAssist',
  vendorId: '8086',
  productId: '0435',
  classCode: '0b4000',
  driver: 'dh895xcc',
  link: { speed: 5, width: 16 },
  bars: [bar(0, 'prefetchable64', 512 * KIB), bar(2, 'memory64', 256 * KIB), bar(4, 'memory64', 256 * KIB)],
  resetMethods: ['flr', 'bus'],
  acs: true,
  sriov: { totalVfs: 32, offset: 1, stride: 1, vf: QUICKASSIST_VF },
});

// Network

export const X710_VF = card({
  name: 'Intel Ethernet Virtual Function 700 Series',
  vendorId: '8086',
  productId: '154c',
  classCode: '020000',
  revision: '02',
  driver: 'iavf',
  link: { speed: 8, width: 8 },
  bars: [bar(0, 'prefetchable64', 64 * KIB), bar(3, 'prefetchable64', 16 * KIB)],
  resetMethods: ['flr', 'bus'],
  presents: 'ethernet',
});

export const X710 = card({
  name: 'Intel Ethernet Controller X710 for 10GbE SFP+',
  vendorId: '8086',
  productId: '1572',
  classCode: '020000',
  subsystemProductId: '0008',
  revision: '02',
  driver: 'i40e',
  link: { speed: 8, width: 8 },
  bars: [bar(0, 'prefetchable64', 8 * MIB), bar(3, 'prefetchable64', 32 * KIB)],
  resetMethods: ['flr', 'pm', 'bus'],
  acs: true,
  presents: 'ethernet',
  sriov: { totalVfs: 64, offset: 16, stride: 1, vf: X710_VF },
});

export const CONNECTX5_VF = card({
  name: 'Mellanox ConnectX-5 Virtual Function',
  vendorId: '15b3',
  productId: '1018',
  classCode: '020000',
  subsystemProductId: '0007',
  driver: 'mlx5_core',
  link: { speed: 8, width: 16 },
  bars: [bar(0, 'prefetchable64', 1 * MIB)],
  resetMethods: ['flr', 'bus'],
  presents: 'ethernet',
});

export const CONNECTX5 = card({
  name: 'Mellanox ConnectX-5',
  vendorId: '15b3',
  productId: '1017',
  classCode: '020000',
  subsystemProductId: '0007',
  driver: 'mlx5_core',
  link: { speed: 8, width: 16 },
  bars: [bar(0, 'prefetchable64', 32 * MIB)],
  resetMethods: ['flr', 'bus'],
  acs: true,
  presents: 'ethernet',
  sriov: { totalVfs: 8, offset: 2, stride: 1, vf: CONNECTX5_VF },
});

export const BLUEFIELD2_VF = card({
  name: 'Mellanox ConnectX Family mlx5Gen Virtual Function',
  vendorId: '15b3',
  productId: '101e',
  classCode: '020000',
  subsystemProductId: '0061',
  driver: 'mlx5_core',
  link: { speed: 16, width: 8 },
  bars: [bar(0, 'prefetchable64', 1 * MIB)],
  resetMethods: ['flr', 'bus'],
  presents: 'ethernet',
});

/** A DPU: its own controller manages the VFs, and knows them by the card's serial number. */
export const BLUEFIELD2 = card({
  name: 'Mellanox BlueField-2 integrated ConnectX-6 Dx',
  vendorId: '15b3',
  productId: 'a2d6',
  classCode: '020000',
  subsystemProductId: '0061',
  driver: 'mlx5_core',
  link: { speed: 16, width: 8 },
  bars: [bar(0, 'prefetchable64', 32 * MIB)],
  resetMethods: ['flr', 'bus'],
  acs: true,
  presents: 'ethernet',
  sriov: { totalVfs: 8, offset: 2, stride: 1, vf: BLUEFIELD2_VF },
});

/** The plain NIC through which operators reach a host. */
export const I210 = card({
  name: 'Intel I210 Gigabit Network Connection',
  vendorId: '8086',
  productId: '1533',
  classCode: '020000',
  subsystemVendorId: '15d9',
  subsystemProductId: '1533',
  revision: '03',
  driver: 'igb',
  link: { speed: 2.5, width: 1 },
  bars: [bar(0, 'memory', 512 * KIB), bar(2, 'io', 32), bar(3, 'memory', 16 * KIB)],
  resetMethods: ['flr', 'pm', 'bus'],
  presents: 'ethernet',
});

// Storage

export const NVME = card({
  name: 'Samsung NVMe SSD Controller PM9A1',
  vendorId: '144d',
  productId: 'a80a',
  classCode: '010802',
  subsystemProductId: 'a801',
  driver: 'nvme',
  link: { speed: 16, width: 4 },
  bars: [bar(0, 'memory64', 16 * KIB)],
  resetMethods: ['flr', 'bus'],
  presents: 'nvme',
});
