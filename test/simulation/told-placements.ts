import type { DataSource } from 'typeorm';
import { Finding } from './record.js';

/** What an orchestrator was answered of a placement. */
export interface ToldPlacement {
  readonly key: string;
  readonly id: string;
  readonly host: string | null;
  readonly devices: readonly string[];
  readonly replayed: boolean;
}

/**
 * What orchestrators know of their placements. Who was answered "placed" has these devices until it gives them back, or the agent says
 * that it could not bind them; and the same key is the same placement for ever.
 */
export class ToldPlacements {
  private readonly byKey = new Map<string, ToldPlacement>();
  /** Ids whose release was sent; whether it was done is not known before the answer. */
  private readonly leaving = new Set<string>();
  private readonly left = new Set<string>();
  /** Keys that were turned down when they were asked for last. */
  private readonly refused = new Set<string>();

  /** @throws Finding when something else was answered under the key before */
  answered(told: ToldPlacement): void {
    const before = this.byKey.get(told.key);
    if (before && before.id !== told.id) {
      throw new Finding(`${told.key} was placement ${before.id}, and is ${told.id} when it is asked for again`);
    }
    if (before && !told.replayed) throw new Finding(`${told.key} was placed again`);
    // of one that is asked for again the answer says what it has now, which may be nothing any more
    if (!before) this.byKey.set(told.key, told);
    this.refused.delete(told.key);
  }

  /** @throws Finding when it was placed before */
  rejected(key: string): void {
    if (this.byKey.has(key)) throw new Finding(`${key} was placed, and is turned down when it is asked for again`);
    this.refused.add(key);
  }

  get count(): number {
    return this.byKey.size;
  }

  unreleased(): readonly string[] {
    return [...this.byKey.values()].map(({ id }) => id).filter((id) => !this.left.has(id));
  }

  releaseAsked(ids: readonly string[]): void {
    for (const id of ids) this.leaving.add(id);
  }

  releaseAnswered(ids: readonly string[]): void {
    for (const id of ids) this.left.add(id);
  }

  /** @returns placements that nobody knows of, because their keys were turned down */
  async unknown(source: DataSource): Promise<string[]> {
    const rows = (await source.query(`SELECT placement_key AS key FROM servers WHERE placement_key = ANY($1)`, [
      [...this.refused],
    ])) as { key: string }[];
    return rows.map(({ key }) => `there is a placement ${key}, and its client was told that it was turned down`);
  }

  /** @returns what is not as it was told, each a sentence */
  async broken(source: DataSource): Promise<string[]> {
    if (this.byKey.size === 0) return [];
    const told = [...this.byKey.values()];
    const rows = (await source.query(
      `SELECT s.id, s.status, s.placement_key AS key, h.name AS host,
              ARRAY(SELECT a.device_id::text FROM allocations a JOIN claims c ON c.id = a.claim_id
                     WHERE c.server_id = s.id AND a.released_at IS NULL) AS devices
         FROM servers s LEFT JOIN hosts h ON h.id = s.host_id WHERE s.id = ANY($1)`,
      [told.map(({ id }) => id)],
    )) as Row[];
    const found = new Map(rows.map((row) => [row.id, row]));
    return told.flatMap((one) => {
      const row = found.get(one.id);
      const name = `placement ${one.key} (${one.id.slice(-8)})`;
      if (!row) return [`${name} was answered, and is lost`];
      if (row.key !== one.key) return [`${name} is kept under the key ${row.key}`];
      return this.differences(one, row).map((what) => `${name} ${what}`);
    });
  }

  private differences(told: ToldPlacement, row: Row): string[] {
    const { status, host, devices } = row;
    const isLeaving = this.leaving.has(told.id);
    if ((status === 'DELETING' || status === 'DELETED') && !isLeaving)
      return [`is ${status} though nobody asked for it`];
    if (this.left.has(told.id) && !['DELETING', 'DELETED'].includes(status))
      return [`was given back, and is ${status}`];
    // one that is asked for again when it has failed is answered with what it has: nothing
    if ((status !== 'BUILD' && status !== 'ACTIVE') || told.replayed) return [];
    const missing = told.devices.filter((id) => !devices.includes(id));
    return [
      ...(host === told.host ? [] : [`is on ${host}, and ${told.host} was answered`]),
      ...(missing.length === 0 && devices.length === told.devices.length ? [] : [`has not the devices of its answer`]),
    ];
  }
}

interface Row {
  readonly id: string;
  readonly key: string | null;
  readonly status: string;
  readonly host: string | null;
  readonly devices: readonly string[];
}
