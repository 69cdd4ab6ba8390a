import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.js';
import type { ShownServer } from '../support/rest-client.js';
import type { Client } from './client.js';
import { createPlacements, deletePlacements } from './placements.js';
import { WISHES } from './world.js';

/** Everything that was acknowledged about one wish of a client. */
export interface Wanted {
  /** The idempotency key, and the name. */
  readonly key: string;
  readonly kind: 'server' | 'placement';
  readonly devices: string;
  /** Ids that were answered: never more than one is right. */
  readonly ids: Set<string>;
  /** Of a placement. */
  outcome: 'placed' | 'rejected' | null;
  /** Host and devices (addresses), as they were told to the client: by the placement's answer, or with `ACTIVE`. */
  told: { readonly host: string; readonly devices: readonly string[] } | null;
  /** It was seen to have come to an end: ACTIVE, ERROR, placed. */
  settled: boolean;
  deleteAsked: boolean;
  deleteAcknowledged: boolean;
}

export interface Pace {
  readonly workers: number;
  /** Between two actions of a worker, about. */
  readonly restMs: number;
  /** Beyond so many that live, they delete before they create. */
  readonly liveMax: number;
}

const DUPLICATES = 12;
const BATCH_MAX = 6;

/** Clients that create, look at and delete servers and placements, and remember what they were told. */
export class Load {
  readonly wanted: Wanted[] = [];
  /** Answers that no client can make sense of. */
  readonly strange: string[] = [];
  private count = 0;
  private ended = false;

  constructor(
    private readonly client: Client,
    private readonly random: Random,
    private readonly pace: Pace,
    private readonly withPlacements: boolean,
  ) {}

  /** Resolves when the last action, begun before {@link end}, is over. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.pace.workers }, () => this.work()));
  }

  end(): void {
    this.ended = true;
  }

  /** Asks for the end of everything that lives. */
  async deleteAll(): Promise<void> {
    const left = this.live();
    const worker = async (): Promise<void> => {
      for (let one = left.pop(); one !== undefined; one = left.pop()) await this.deleteThese([one]);
    };
    await Promise.all(Array.from({ length: this.pace.workers }, worker));
  }

  private async work(): Promise<void> {
    while (!this.ended) {
      const live = this.live();
      const settled = live.filter((one) => one.settled);
      const isFull = live.length > this.pace.liveMax;
      const action = this.random(10);
      if (settled.length > 0 && (isFull || action < 2)) await this.deleteSome(settled);
      // in the middle of its making
      else if (live.length > 0 && action === 2) await this.deleteSome(live);
      else if (live.length > 0 && (isFull || action < 5)) await this.lookAtOne(live, isFull);
      else if (this.withPlacements && action < 8) await this.createBatch();
      else await this.createServer();
      await sleep(this.pace.restMs / 2 + this.random(this.pace.restMs));
    }
  }

  /** Acknowledged, and nobody has asked for its end. */
  private live(): Wanted[] {
    return this.wanted.filter((one) => one.ids.size > 0 && !one.deleteAsked);
  }

  private want(kind: Wanted['kind']): Wanted {
    const devices = WISHES[this.random(WISHES.length)] ?? '';
    const [ids, key] = [new Set<string>(), `chaos-${kind}-${++this.count}`];
    const one: Wanted = {
      ...{ key, kind, devices, ids, outcome: null, told: null },
      ...{ settled: false, deleteAsked: false, deleteAcknowledged: false },
    };
    this.wanted.push(one);
    return one;
  }

  private async createServer(): Promise<void> {
    const one = this.want('server');
    const send = (): Promise<void> => this.sendServer(one);
    // now and then a client asks twice: at once, or again when it has its answer
    const twice = this.random(DUPLICATES);
    await Promise.all(twice === 0 ? [send(), send()] : [send()]);
    if (twice === 1) await send();
  }

  private async sendServer(one: Wanted): Promise<void> {
    const body = { name: one.key, ...wishOf(one.devices) };
    const answer = await this.client.ask({ method: 'POST', path: '/v1/servers', body, key: one.key });
    if (answer === null) return;
    const { id } = answer.body as { id?: string };
    if (answer.status === 202 && id !== undefined) one.ids.add(id);
    else this.strange.push(`create ${one.key}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`);
  }

  private async createBatch(): Promise<void> {
    const batch = Array.from({ length: 1 + this.random(BATCH_MAX) }, () => this.want('placement'));
    const send = (): Promise<void> => createPlacements(this.client, batch, wishOf, this.strange);
    await send();
    if (this.random(DUPLICATES) === 0) await send();
  }

  private lookAtOne(live: readonly Wanted[], isFull: boolean): Promise<void> {
    const unsettled = live.filter((one) => !one.settled);
    const these = isFull && unsettled.length > 0 ? unsettled : live;
    return this.look(these[this.random(these.length)]);
  }

  /** A server that was seen ACTIVE with devices is an acknowledgement, too. */
  private async look(one: Wanted | undefined): Promise<void> {
    const id = one?.ids.values().next().value;
    if (one === undefined || id === undefined || one.kind !== 'server') return;
    const answer = await this.client.ask({ method: 'GET', path: `/v1/servers/${id}` });
    if (answer === null || one.deleteAsked) return;
    const server = answer.body as ShownServer;
    one.settled = server.status === 'ACTIVE' || server.status === 'ERROR';
    if (answer.status !== 200) {
      this.strange.push(`look at ${one.key} ${id}: ${answer.status}`);
    } else if (server.status === 'ACTIVE' && server.host !== null) {
      const told = { host: server.host, devices: server.devices.map(({ address }) => address).toSorted() };
      if (one.told !== null && JSON.stringify(one.told) !== JSON.stringify(told)) {
        this.strange.push(`${one.key} ${id} has moved from ${JSON.stringify(one.told)} to ${JSON.stringify(told)}`);
      }
      one.told = told;
    }
  }

  private async deleteSome(live: readonly Wanted[]): Promise<void> {
    const first = live[this.random(live.length)];
    if (first === undefined) return;
    const others =
      first.kind === 'placement' ? live.filter(({ kind }) => kind === 'placement').slice(0, this.random(4)) : [];
    await this.deleteThese([...new Set([first, ...others])]);
  }

  private async deleteThese(these: readonly Wanted[]): Promise<void> {
    for (const one of these) one.deleteAsked = true;
    if (these[0]?.kind === 'placement') return deletePlacements(this.client, these, this.strange);
    for (const one of these) await this.deleteServer(one);
  }

  private async deleteServer(one: Wanted): Promise<void> {
    const id = [...one.ids][0] ?? '';
    const answer = await this.client.ask({ method: 'DELETE', path: `/v1/servers/${id}` });
    if (answer === null) return;
    // 404: the answer to an earlier attempt was lost
    if (answer.status === 202 || answer.status === 204 || (answer.status === 404 && answer.attempts > 1)) {
      one.deleteAcknowledged = true;
    } else this.strange.push(`delete ${one.key} ${id}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`);
  }
}

function wishOf(devices: string): Record<string, unknown> {
  return devices === '' ? { vcpus: 1, ram_mb: 64 } : { devices };
}
