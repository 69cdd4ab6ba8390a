import { isRedirected, type RedirectablePoint } from '../../pci/topology.js';
import { counted, table } from './preview-text.js';

/** What is read of the answer of `GET /v1/hosts/{host}/topology`. */
export interface HostTopology {
  readonly host: string;
  readonly devices: readonly TopologyDevice[];
  readonly distances: readonly (readonly string[])[];
  readonly left_out: number;
}

export interface TopologyDevice {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly class_code: string;
  readonly device_type: string;
  readonly parent_address: string | null;
  readonly numa_node: number | null;
  readonly acs_redirect: boolean | null;
}

/** The words of the matrix, near to far. */
const MEANINGS: Readonly<Record<string, string>> = {
  X: 'the device itself',
  PIX: 'below one PCIe switch, or one root port without a switch',
  PXB: 'below one root port, over several switches',
  PHB: 'below one host bridge',
  NODE: 'on one NUMA node, below different host bridges',
  SYS: 'across NUMA nodes',
};
/** Within these, neighbours could reach each other without the root complex. */
const SHORT_WAYS = ['PIX', 'PXB'];
const REDIRECTED = '*';

/** The matrix for a person at a terminal. */
export function hostTopologyText({ host, devices, distances, left_out }: HostTopology): string {
  const cells = devices.map((a, row) => devices.map((b, column) => cell(a, b, distances[row]?.[column] ?? '?')));
  const titles = ['', 'address', 'device', 'class', 'type', 'NUMA', ...devices.map((_, column) => String(column))];
  const rows = devices.map((device, row) => [String(row), ...factsOf(device), ...(cells[row] ?? [])]);
  return [
    `${host}: ${counted(devices.length, 'device', 'devices')}`,
    ...(devices.length === 0 ? [] : ['', ...table(titles, rows), '', ...legend(cells.flat())]),
    ...(left_out === 0 ? [] : ['', `${left_out} more are left out; say which to show with --address or --device.`]),
    '',
  ].join('\n');
}

function cell(a: TopologyDevice, b: TopologyDevice, distance: string): string {
  if (distance === 'SELF') return 'X';
  const redirected = SHORT_WAYS.includes(distance) && isRedirected([redirectOf(a), redirectOf(b)]) === true;
  return redirected ? `${distance}${REDIRECTED}` : distance;
}

function redirectOf({ address, parent_address, acs_redirect }: TopologyDevice): RedirectablePoint {
  return { address, parentAddress: parent_address, acsRedirect: acs_redirect };
}

function factsOf(device: TopologyDevice): string[] {
  const { address, vendor_id, product_id, class_code, device_type, numa_node } = device;
  return [address, `${vendor_id}:${product_id}`, class_code.slice(0, 4), device_type, String(numa_node ?? '-')];
}

/** Only of the words that stand there. */
function legend(cells: readonly string[]): string[] {
  const words = new Set(cells.map((text) => text.replace(REDIRECTED, '')));
  return [
    ...Object.entries(MEANINGS).flatMap(([word, meaning]) =>
      words.has(word) ? [`${word.padEnd(4)}  ${meaning}`] : [],
    ),
    ...(cells.some((text) => text.endsWith(REDIRECTED))
      ? [`${REDIRECTED.padEnd(4)}  ACS redirects: the way between them leads up to the root complex all the same`]
      : []),
  ];
}
