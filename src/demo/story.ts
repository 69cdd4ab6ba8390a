import { setTimeout as delay } from 'node:timers/promises';
import { DEMO_HOSTS } from '../recorded-hosts/demo-fleet.js';

const FIRST_SERVER = 'gpu-vm-1';
const WAIT_MS = 30_000;
const WAIT_FOR_ALL_MS = 5_000;
const POLL_MS = 100;

const FLAVORS = [
  { name: 'm1.small', vcpus: 2, ram_mb: 2048, disk_gb: 20 },
  { name: 'm1.gpu', vcpus: 4, ram_mb: 8192, disk_gb: 40, extra_specs: { 'pci_passthrough:alias': 'gpu:1' } },
  {
    name: 'm1.gpu-nic',
    vcpus: 8,
    ram_mb: 16_384,
    disk_gb: 40,
    extra_specs: { 'pci_passthrough:alias': 'gpu:2,nic:1' },
  },
  {
    name: 'm1.a100x4',
    vcpus: 16,
    ram_mb: 65_536,
    disk_gb: 100,
    extra_specs: { 'pci_passthrough:alias': 'a100:4', 'hw:pci_numa_affinity_policy': 'required' },
  },
];

const PORTS = '[{"vnic_type": "direct", "physical_network": "physnet1"}]';

interface HostView {
  readonly name: string;
  readonly status: string;
  readonly kernel_kind: string;
}

interface PoolView {
  readonly host: string;
  readonly key: Readonly<Record<string, string | number | null>>;
  readonly total: number;
  readonly free: number;
}

interface ServerView {
  readonly id: string;
  readonly status: string;
  readonly host: string | null;
  readonly fault: { readonly message: string } | null;
  readonly devices: readonly {
    readonly address: string;
    readonly driver: string | null;
    readonly iommu_group: number | null;
    readonly vfio: string | null;
    readonly libvirt_hostdev_xml: string | null;
    readonly qemu_args: readonly string[] | null;
  }[];
  readonly events: readonly { readonly event: string; readonly message: string }[];
}

/**
 * Tells the first placement step by step, as a user would make it: over REST.
 *
 * @param url   of the REST face
 * @param hosts names of the hosts to wait for; this machine's own is not waited for long
 * @param say   prints one line
 */
export async function tellStory(url: string, hosts: readonly string[], say: (line: string) => void): Promise<void> {
  const api = new RestCaller(url);
  const patience = Date.now() + WAIT_FOR_ALL_MS;
  const known = await until(async () => {
    const { hosts: list } = await api.get<{ hosts: HostView[] }>('/v1/hosts');
    const up = list.filter((host) => host.status === 'up').map((host) => host.name);
    const enough = Date.now() < patience ? hosts : DEMO_HOSTS.map((host) => host.name);
    return enough.every((name) => up.includes(name)) ? list : null;
  });
  await tellHosts(api, known, say);
  for (const flavor of FLAVORS) await api.createUnlessThere('/v1/flavors', flavor);
  say('');
  say('2. Flavors say what a server needs; flavor m1.gpu carries pci_passthrough:alias = "gpu:1".');
  const server = await firstServer(api, say);
  tellServer(server, say);
  tellNextSteps(url, server, say);
}

async function tellHosts(api: RestCaller, hosts: readonly HostView[], say: (line: string) => void): Promise<void> {
  const { pools } = await api.get<{ pools: PoolView[] }>('/v1/pools?limit=1000');
  say('1. The agents of these hosts scanned their sysfs, applied their whitelist and reported:');
  for (const host of hosts) {
    const kind = host.kernel_kind === 'simulated' ? 'simulated kernel' : 'this machine, read-only';
    say(`   ${host.name} (${kind})`);
    const own = pools.filter((pool) => pool.host === host.name);
    const kinds = new Map<string, { free: number; total: number }>();
    for (const { key, free, total } of own) {
      const name = `${key['vendor_id']}:${key['product_id']} ${key['dev_type']}`;
      const sum = kinds.get(name) ?? { free: 0, total: 0 };
      kinds.set(name, { free: sum.free + free, total: sum.total + total });
    }
    for (const [name, { free, total }] of kinds) say(`      ${name}: ${free} of ${total} free`);
    if (kinds.size === 0) say('      offers nothing; its devices are shown by GET /v1/devices?host=' + host.name);
  }
}

async function firstServer(api: RestCaller, say: (line: string) => void): Promise<ServerView> {
  const { servers } = await api.get<{ servers: { id: string; name: string }[] }>(`/v1/servers?name=${FIRST_SERVER}`);
  const there = servers[0];
  if (there) {
    say(`3. Server ${FIRST_SERVER} is still there from an earlier start: the ledger survived.`);
  } else {
    say(`3. POST /v1/servers {"name": "${FIRST_SERVER}", "flavor": "m1.gpu"}`);
  }
  const id = there?.id ?? (await api.post<{ id: string }>('/v1/servers', { name: FIRST_SERVER, flavor: 'm1.gpu' })).id;
  return until(async () => {
    const server = await api.get<ServerView>(`/v1/servers/${id}`);
    return server.status === 'BUILD' ? null : server;
  });
}

function tellServer(server: ServerView, say: (line: string) => void): void {
  for (const { event, message } of server.events) say(`      ${event.padEnd(10)} ${message}`);
  say(`   ${FIRST_SERVER} is ${server.status}${server.host === null ? '' : ` on ${server.host}`}.`);
  if (server.fault) say(`      ${server.fault.message}`);
  for (const device of server.devices) {
    say(`      ${device.address} is on ${device.driver}, IOMMU group ${device.iommu_group}, ${device.vfio}`);
    for (const line of (device.libvirt_hostdev_xml ?? '').trimEnd().split('\n')) say(`        ${line}`);
    if (device.qemu_args) say(`        qemu-system-x86_64 … ${device.qemu_args.join(' ')}`);
  }
}

function tellNextSteps(url: string, server: ServerView, say: (line: string) => void): void {
  const json = `-H 'content-type: application/json'`;
  say('');
  say(`REST face        ${url}/v1/hosts   (OpenAPI: ${url}/v1/openapi.json)`);
  say(`Health           ${url}/healthz   ${url}/readyz`);
  say('');
  say('Try next:');
  say(`  curl -s ${url}/v1/servers/${server.id}`);
  say(`  curl -s ${url}/v1/devices?alias=gpu`);
  say(`  curl -s ${url}/v1/servers ${json} -d '{"name": "trainer", "flavor": "m1.a100x4"}'`);
  say(`  curl -s ${url}/v1/servers ${json} -d '{"name": "router", "ports": ${PORTS}}'`);
  say(`  curl -s ${url}/v1/placements/dry-run ${json} -d '{"devices": "gpu:3"}'      # and why not`);
  say(`  curl -s -X DELETE ${url}/v1/servers/${server.id}`);
  say('');
  say('The hosts of this demonstration are simulated: their kernels are played by Berth, no hardware is touched.');
  say('Ctrl-C stops everything; what was placed is there again after the next start.');
}

/** Minimal JSON over HTTP; what is not a success throws with the problem's detail. */
class RestCaller {
  constructor(private readonly url: string) {}

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, body);
  }

  async createUnlessThere(path: string, body: { readonly name: string }): Promise<void> {
    const response = await fetch(`${this.url}${path}/${body.name}`);
    if (response.status === 404) await this.post(path, body);
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer = (await response.json()) as T & { detail?: string };
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer.detail ?? ''}`);
    return answer;
  }
}

async function until<T>(look: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error('the demonstration did not get ready in time');
    await delay(POLL_MS);
  }
}
