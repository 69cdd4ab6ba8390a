import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly body: T;
}

export interface ShownReason {
  readonly code: string;
  readonly message: string;
  readonly named: readonly { readonly host: string; readonly message: string }[];
}

export interface ShownRejection {
  readonly filter: string;
  readonly hosts: readonly string[];
  readonly reasons: readonly ShownReason[];
}

export interface ShownServer {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly task_state: string | null;
  readonly host: string | null;
  readonly simulated: boolean;
  readonly attempts: number;
  readonly fault: {
    readonly code: string;
    readonly message: string;
    readonly details: { readonly rejections?: readonly ShownRejection[] };
  } | null;
  readonly devices: readonly {
    readonly address: string;
    readonly alias: string | null;
    readonly companion: boolean;
    readonly numa_node: number | null;
    readonly iommu_group: number | null;
    readonly driver: string | null;
    readonly vfio: string | null;
    readonly netdev: string | null;
    readonly libvirt_hostdev_xml: string | null;
    readonly qemu_args: readonly string[] | null;
  }[];
}

export interface ShownDevice {
  readonly host: string;
  readonly address: string;
  readonly status: string;
  readonly offered: boolean;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly driver: string | null;
  readonly iommu_group: number | null;
  readonly numa_node: number | null;
  readonly parent_address: string | null;
  readonly owner: { readonly server_id: string } | null;
  readonly reset_methods: readonly string[];
}

export interface ShownDecision {
  readonly outcome: 'placed' | 'rejected';
  readonly host: string | null;
  readonly devices: readonly { readonly address: string }[];
  readonly message: string | null;
  readonly rejections: readonly ShownRejection[];
}

const ANSWER_MS_MAX = 15_000;
const RETRY_MS = 150;
const RETRY_MS_MAX = 60_000;
const POLL_MS = 60;

/** Speaks to `berth api` as a user's program would. */
export class RestClient {
  constructor(private readonly url: () => string) {}

  /** One attempt; fails when there is no answer. */
  async send<T>(method: string, path: string, body?: unknown, key?: string): Promise<Answer<T>> {
    const response = await fetch(`${this.url()}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as T };
  }

  /** Sends again, with the same key, for as long as there is no connection, or the service says that it is not there. */
  async sendUntilAnswered<T>(
    method: string,
    path: string,
    body?: unknown,
    key?: string,
    onRetry: () => void = () => undefined,
  ): Promise<Answer<T>> {
    const deadline = Date.now() + RETRY_MS_MAX;
    for (;;) {
      const answer = await this.send<T>(method, path, body, key).catch((error: unknown) => error);
      if (!(answer instanceof Error) && (answer as Answer<T>).status < 500) return answer as Answer<T>;
      if (Date.now() > deadline) throw new Error(`no answer to ${method} ${path}: ${told(answer)}`);
      onRetry();
      await sleep(RETRY_MS);
    }
  }

  async get<T>(path: string): Promise<T> {
    return expectStatus(await this.send<T>('GET', path), 200, path);
  }

  /** @returns the id of the new server */
  async createServer(body: object, key?: string): Promise<string> {
    return expectStatus(await this.send<{ id: string }>('POST', '/v1/servers', body, key), 202, '/v1/servers').id;
  }

  async createFlavor(name: string, extraSpecs: Readonly<Record<string, string>> = {}): Promise<void> {
    const body = { name, vcpus: 1, ram_mb: 256, disk_gb: 0, extra_specs: extraSpecs };
    expectStatus(await this.send('POST', '/v1/flavors', body), 201, '/v1/flavors');
  }

  server(id: string): Promise<ShownServer> {
    return this.get(`/v1/servers/${id}`);
  }

  /** Creates a server and waits for its end state. */
  async place(body: object): Promise<ShownServer> {
    return this.whenSettled(await this.createServer(body));
  }

  /** Resolves when the server is ACTIVE or ERROR. */
  async whenSettled(id: string, timeoutMs = 30_000): Promise<ShownServer> {
    return eventually(timeoutMs, async () => {
      const server = await this.server(id);
      if (server.status !== 'ACTIVE' && server.status !== 'ERROR') throw new Error(told(server));
      return server;
    });
  }

  /** Resolves when the server is gone. */
  async remove(id: string, timeoutMs = 30_000): Promise<void> {
    const { status, body } = await this.send('DELETE', `/v1/servers/${id}`);
    if (status !== 202 && status !== 204) throw new Error(`DELETE answered ${status}: ${told(body)}`);
    await eventually(timeoutMs, async () => {
      const answer = await this.send('GET', `/v1/servers/${id}`);
      if (answer.status !== 404) throw new Error(told(answer.body));
    });
  }

  dryRun(body: object): Promise<ShownDecision> {
    return this.send<ShownDecision>('POST', '/v1/placements/dry-run', body).then((answer) =>
      expectStatus(answer, 200, 'dry-run'),
    );
  }

  /** All devices that the query selects, page after page. */
  async devices(query: string): Promise<ShownDevice[]> {
    const devices: ShownDevice[] = [];
    for (let next: string | null = `/v1/devices?limit=100&${query}`; next !== null;) {
      const page: { devices: ShownDevice[]; next: string | null } = await this.get(next);
      devices.push(...page.devices);
      next = page.next;
    }
    return devices;
  }
}

/** Tries until it does not fail; the last failure is told. */
export async function eventually<T>(timeoutMs: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

function expectStatus<T>(answer: Answer<T>, status: number, what: string): T {
  if (answer.status === status) return answer.body;
  throw new Error(`${what} answered ${answer.status}, not ${status}: ${told(answer.body)}`);
}

function told(value: unknown): string {
  if (value instanceof Error)
    return value.cause instanceof Error ? `${value.message}: ${value.cause.message}` : value.message;
  return JSON.stringify(value).slice(0, 2000);
}
