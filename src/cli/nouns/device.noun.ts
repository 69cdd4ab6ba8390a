import { Option } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { filled, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { listVerb, showVerb } from '../verbs/verbs.js';
import { addDeviceClaim } from './device-claim.noun.js';
import { addDeviceSpecs } from './device-specs.noun.js';
import { deviceId, serverId } from './ids.js';

type Device = Schemas['DeviceView'];

interface GivenFilter {
  readonly host?: string;
  readonly vendorId?: string;
  readonly productId?: string;
  readonly deviceType?: Device['device_type'];
  readonly status?: Device['status'];
  readonly offered?: boolean;
  readonly numaNode?: number;
  readonly iommuGroup?: number;
  readonly alias?: string;
  readonly server?: string;
}

const owner: Column<Device> = {
  name: 'owner',
  text: ({ owner: has }) => (has === null ? '' : `${has.server_name} (${has.server_id})`),
};
const COLUMNS: readonly Column<Device>[] = [
  ...(['id', 'host', 'address', 'vendor_id', 'product_id', 'device_type', 'numa_node', 'status'] as const),
  owner,
];
const LONG: readonly Column<Device>[] = [
  ...([
    'class_code',
    'driver',
    'iommu_group',
    'offered',
    'not_offered',
    'netdevs',
    'status_reason',
    'simulated',
  ] as const),
];
const FIELDS: readonly Column<Device>[] = [
  ...(['id', 'host', 'address', 'vendor_id', 'product_id', 'class_code', 'device_type', 'revision'] as const),
  ...(['subsystem_vendor_id', 'subsystem_product_id', 'serial_number', 'status', 'status_reason'] as const),
  owner,
  ...(['offered', 'not_offered', 'offer', 'protection', 'driver', 'netdevs', 'numa_node', 'iommu_group'] as const),
  ...(['parent_address', 'pcie_path', 'acs_redirect', 'link', 'reset_methods', 'sriov', 'binding_problem'] as const),
  ...(['drift', 'change_pending', 'missing_since', 'simulated', 'updated_at'] as const),
];

const STATUSES: readonly Device['status'][] = [
  ...(['available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'reserved', 'cleaning', 'failed'] as const),
  ...(['quarantined', 'removed'] as const),
];

const HELP = `
A device is said by its id, or as HOST/ADDRESS: gpu-1/0000:83:00.0.`;

/** `berth device`. */
export function addDevice(noun: Noun): void {
  listVerb(noun, 'list', 'devices of hosts, as their agents see them', {
    options: (command) =>
      command
        .option('--host <host>', 'only of this host')
        .option('--alias <name>', 'only what matches this alias')
        .addOption(new Option('--status <status>', 'only those that are').choices(STATUSES))
        .option('--server <server>', 'only those that this server has')
        .option('--vendor-id <id>', 'four hex digits')
        .option('--product-id <id>', 'four hex digits')
        .addOption(
          new Option('--device-type <type>', 'of the device').choices(['type-PCI', 'type-PF', 'type-VF', 'vdpa']),
        )
        .option('--offered', 'only those that a whitelist offers')
        .option('--no-offered', 'only those that none offers')
        .option('--numa-node <n>', 'only there', wholeNumber)
        .option('--iommu-group <n>', 'only in this group', wholeNumber),
    rows: async (session: Session, given: GivenFilter) => {
      const { rest, all } = session;
      const filter = filled({
        ...{ host: given.host, alias: given.alias, status: given.status, offered: given.offered },
        ...{ vendor_id: given.vendorId, product_id: given.productId, device_type: given.deviceType },
        ...{ numa_node: given.numaNode, iommu_group: given.iommuGroup },
        server_id: given.server === undefined ? undefined : await serverId(session, given.server),
      });
      return all((query) => rest.GET('/v1/devices', { params: { query: { ...query, ...filter } } }));
    },
    columns: COLUMNS,
    long: LONG,
  });
  showVerb(noun, 'show <device>', 'one device', {
    help: HELP,
    one: async (session: Session, _given: unknown, device: string) => {
      const path = { id: await deviceId(session, device) };
      return session.ask(session.rest.GET('/v1/devices/{id}', { params: { path } }));
    },
    fields: FIELDS,
  });
  addHolds(noun);
  addDeviceClaim(noun);
  addDeviceSpecs(noun);
}

const HOLDS = [
  ['quarantine', 'keep a device from being placed because something is wrong with it'],
  ['reserve', 'keep a device from being placed'],
] as const;
const LIFTS = [
  ['repair', 'a device that failed or was quarantined is fit again'],
  ['unreserve', 'a device that was reserved may be placed again'],
] as const;

function addHolds(noun: Noun): void {
  for (const [verb, about] of HOLDS) {
    showVerb(noun, `${verb} <device>`, about, {
      options: (command) => command.requiredOption('--reason <text>', 'why'),
      help: HELP,
      one: async (session: Session, { reason }: { readonly reason: string }, device: string) => {
        const params = { path: { id: await deviceId(session, device) } };
        return session.ask(session.rest.POST(`/v1/devices/{id}/${verb}`, { params, body: { reason } }));
      },
      fields: FIELDS,
    });
  }
  for (const [verb, about] of LIFTS) {
    showVerb(noun, `${verb} <device>`, about, {
      help: HELP,
      one: async (session: Session, _given: unknown, device: string) => {
        const params = { path: { id: await deviceId(session, device) } };
        return session.ask(session.rest.POST(`/v1/devices/{id}/${verb}`, { params }));
      },
      fields: FIELDS,
    });
  }
}
