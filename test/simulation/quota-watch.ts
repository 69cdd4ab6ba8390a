import type { DataSource } from 'typeorm';

/**
 * What a project may have at most. A limit may be set below what is in use: then nothing is taken away, and nothing more given out. So
 * use may only fall while it is above the limit, and never rises above it again.
 */
export class QuotaWatch {
  /** Resource → what use must not exceed now; a resource without a limit is not here. */
  private ceilings = new Map<string, number>();
  private isChanging = false;

  /** Limits may change in this step: what was claimed before and after cannot be told apart. */
  changes(): void {
    this.isChanging = true;
  }

  /** @returns what is above its limit, each a sentence */
  async broken(source: DataSource): Promise<string[]> {
    const limits = (await source.query(`SELECT resource, hard_limit::int AS "limit" FROM quotas`)) as Limit[];
    const former = this.isChanging ? new Map<string, number>() : this.ceilings;
    this.isChanging = false;
    this.ceilings = new Map();
    if (limits.length === 0) return [];
    const [used] = (await source.query(USED)) as [Readonly<Record<string, number>>];
    return limits.flatMap(({ resource, limit }) => {
      const use = used[resource] ?? 0;
      const ceiling = former.get(resource) ?? Math.max(limit, use);
      this.ceilings.set(resource, Math.max(limit, Math.min(ceiling, use)));
      return use > ceiling ? [`${use} ${resource} are in use, and ${ceiling} is the most there may be`] : [];
    });
  }
}

interface Limit {
  readonly resource: string;
  readonly limit: number;
}

/** A server counts once: what it gives back where it was does not count beside what it has where it is now. */
const USED = `
  WITH held AS (
    SELECT c.* FROM claims c JOIN servers s ON s.id = c.server_id
     WHERE c.status <> 'released' AND s.status <> 'DELETED'
       AND NOT (c.status = 'releasing' AND EXISTS (
         SELECT 1 FROM claims n WHERE n.server_id = c.server_id AND n.kind = 'server' AND n.status <> 'released'
                                  AND n.created_at > c.created_at))
  ), devices AS (
    SELECT a.alias FROM held JOIN allocations a ON a.claim_id = held.id WHERE a.released_at IS NULL)
  SELECT (SELECT count(*)::int FROM devices) AS devices,
         (SELECT count(*)::int FROM devices WHERE alias = 'gpu') AS "alias:gpu",
         (SELECT count(*)::int FROM held WHERE kind = 'server') AS servers,
         (SELECT coalesce(sum(vcpus), 0)::int FROM held) AS vcpus`;
