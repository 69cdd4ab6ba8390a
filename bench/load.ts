import { Agent, request } from 'node:http';
import type pg from 'pg';

const WATCH_EVERY_MS = 4;
const PLACED_WITHIN_MS = 60_000;

/** `burst`: each connection sends its next request when the last is accepted; `waiting`: when the last is placed. */
export type Pace = 'burst' | 'waiting';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly servers: number;
  readonly pace: Pace;
  /** What each server asks for; the name is added. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Milliseconds from the request to …, one for each server. */
export interface Outcome {
  readonly accepted: readonly number[];
  /** … its place in the ledger: claimed, or ACTIVE at once without devices. */
  readonly placed: readonly number[];
  readonly active: readonly number[];
  /** From the first request to the last placement. */
  readonly placedAfterMs: number;
}

/** Asks for servers over REST and watches the ledger for what becomes of them. */
export async function drive(load: Load, ledger: pg.Client): Promise<Outcome> {
  const start = performance.now();
  const agent = new Agent({ keepAlive: true, maxSockets: load.connections });
  const watch = new Watch(ledger);
  const accepted: number[] = [];
  let sent = 0;
  const connection = async (): Promise<void> => {
    while (sent < load.servers) {
      const name = `server-${sent++}`;
      const sentAt = performance.now();
      const id = await createServer(agent, load.url, { name, ...load.body });
      accepted.push(performance.now() - sentAt);
      const placed = watch.placed(id, sentAt);
      if (load.pace === 'waiting') await placed;
    }
  };
  try {
    const sending = Promise.all(Array.from({ length: load.connections }, connection)).then(() => watch.close());
    await Promise.all([sending, watch.run()]);
  } finally {
    watch.giveUp();
    agent.destroy();
  }
  return { accepted, placed: watch.placedMs, active: watch.activeMs, placedAfterMs: watch.lastPlacedAt - start };
}

function createServer(agent: Agent, url: string, body: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const headers = { 'content-type': 'application/json', 'content-length': bytes.length };
    const sending = request(new URL('/v1/servers', url), { agent, method: 'POST', headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode === 202) resolve((JSON.parse(text) as { id: string }).id);
        else reject(new Error(`POST /v1/servers answered ${answer.statusCode}: ${text.slice(0, 500)}`));
      });
      answer.on('error', reject);
    });
    sending.on('error', reject);
    sending.end(bytes);
  });
}

interface Watched {
  readonly sentAt: number;
  readonly done: () => void;
  isPlaced: boolean;
}

/** Looks into the ledger every few milliseconds; times are exact to that, and to the load that it is. */
class Watch {
  readonly placedMs: number[] = [];
  readonly activeMs: number[] = [];
  lastPlacedAt = 0;
  private readonly servers = new Map<string, Watched>();
  private closed = false;

  constructor(private readonly ledger: pg.Client) {}

  /** Resolves when the server has a place. */
  placed(id: string, sentAt: number): Promise<void> {
    return new Promise((done) => this.servers.set(id, { sentAt, done, isPlaced: false }));
  }

  /** No more servers come; `run` ends when the last is ACTIVE. */
  close(): void {
    this.closed = true;
  }

  giveUp(): void {
    this.servers.clear();
    this.closed = true;
  }

  async run(): Promise<void> {
    let movedAt = performance.now();
    while (!this.closed || this.servers.size > 0) {
      if (await this.look()) movedAt = performance.now();
      else if (this.servers.size > 0 && performance.now() - movedAt > PLACED_WITHIN_MS) {
        throw new Error(`${this.servers.size} servers were not placed within ${PLACED_WITHIN_MS / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
    }
  }

  /** @returns whether anything has moved */
  private async look(): Promise<boolean> {
    if (this.servers.size === 0) return false;
    const { rows } = await this.ledger.query<{ id: string; status: string; fault: unknown }>(
      `SELECT id, status, fault FROM servers WHERE id = ANY($1) AND task_state IS DISTINCT FROM 'scheduling'`,
      [[...this.servers.keys()]],
    );
    const now = performance.now();
    return rows.filter((row) => this.note(row, now)).length > 0;
  }

  private note({ id, status, fault }: { id: string; status: string; fault: unknown }, now: number): boolean {
    const server = this.servers.get(id);
    if (!server) return false;
    if (status === 'ERROR') throw new Error(`a server could not be placed: ${JSON.stringify(fault).slice(0, 500)}`);
    const wasPlaced = server.isPlaced;
    if (!wasPlaced) {
      server.isPlaced = true;
      this.placedMs.push(now - server.sentAt);
      this.lastPlacedAt = now;
      server.done();
    }
    if (status !== 'ACTIVE') return !wasPlaced;
    this.activeMs.push(now - server.sentAt);
    this.servers.delete(id);
    return true;
  }
}
