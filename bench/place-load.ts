import { HttpClient } from './http-client.js';

/** A placement that the service has acknowledged. */
export interface Acknowledged {
  readonly id: string;
  readonly key: string;
  /** Ids of devices. */
  readonly devices: readonly string[];
}

export interface Round {
  readonly acknowledged: readonly Acknowledged[];
  /** Milliseconds of each call. */
  readonly latencies: readonly number[];
  readonly ms: number;
}

export interface LoadOptions {
  readonly clients: number;
  /** Placements of one call. */
  readonly perCall: number;
  /** Ends with the first call after this, or after so many placements. */
  readonly msMax: number;
  readonly placementsMax: number;
  /** Calls a second, begun whether or not the ones before are answered; null: each client's next when its last is answered. */
  readonly rate: number | null;
}

interface Answer {
  readonly placements: readonly {
    readonly outcome: string;
    readonly id: string;
    readonly key: string;
    readonly message?: string;
    readonly devices: readonly { readonly id: string }[];
  }[];
}

let keys = 0;

/** Asks for `gpu:1` and `nic:1` in turn. */
export class PlacementLoad {
  private readonly clients: readonly HttpClient[];
  private next = 0;

  constructor(
    urls: readonly string[],
    private readonly options: LoadOptions,
  ) {
    this.clients = urls.map((url) => new HttpClient(url, options.rate === null ? options.clients : 512));
  }

  async round(): Promise<Round> {
    const { rate, msMax, placementsMax, perCall } = this.options;
    const acknowledged: Acknowledged[] = [];
    const latencies: number[] = [];
    const start = performance.now();
    let asked = 0;
    const isOver = (): boolean => asked + perCall > placementsMax || performance.now() - start >= msMax;
    const one = async (): Promise<void> => {
      asked += perCall;
      const sentAt = performance.now();
      acknowledged.push(...(await this.call()));
      latencies.push(performance.now() - sentAt);
    };
    if (rate === null) await this.closed(one, isOver);
    else await this.open(one, isOver, rate);
    return { acknowledged, latencies, ms: performance.now() - start };
  }

  private async closed(one: () => Promise<void>, isOver: () => boolean): Promise<void> {
    const client = async (): Promise<void> => {
      while (!isOver()) await one();
    };
    await Promise.all(Array.from({ length: this.options.clients }, client));
  }

  private async open(one: () => Promise<void>, isOver: () => boolean, rate: number): Promise<void> {
    const calls: Promise<void>[] = [];
    const start = performance.now();
    while (!isOver()) {
      const due = Math.floor(((performance.now() - start) * rate) / 1000);
      while (calls.length < due && !isOver()) calls.push(one());
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(calls);
  }

  private async call(): Promise<Acknowledged[]> {
    const wishes = Array.from({ length: this.options.perCall }, () => {
      const number = keys++;
      return { key: `bench-${number}`, devices: number % 2 === 0 ? 'gpu:1' : 'nic:1' };
    });
    const { placements } = await this.client().send<Answer>('POST', '/v1/placements', { placements: wishes });
    return placements.map(({ outcome, id, key, devices, message }) => {
      if (outcome !== 'placed') throw new Error(`not placed: ${message}`);
      return { id, key, devices: devices.map((device) => device.id) };
    });
  }

  /** Gives them back, 500 in a call. */
  async release(ids: readonly string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += 500) {
      await this.client().send('DELETE', '/v1/placements', { ids: ids.slice(from, from + 500) });
    }
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private client(): HttpClient {
    return this.clients[this.next++ % this.clients.length] as HttpClient;
  }
}
