import type { Tx } from './database.js';
import type { FlavorEntity } from './entities/catalog.entities.js';

/** By what flavors are sorted, under Nova's names. What is the same for all of them here leaves them in id order. */
const SORT_COLUMNS = {
  ...{ created_at: 'created_at', id: 'created_at', updated_at: 'id', disabled: 'id', vcpu_weight: 'id' },
  ...{ flavorid: 'id', name: 'name', description: `coalesce(description, '')`, is_public: 'is_public' },
  ...{ memory_mb: 'ram_mb', root_gb: 'disk_gb', ephemeral_gb: 'ephemeral_gb', swap: 'swap_mb' },
  ...{ rxtx_factor: 'rxtx_factor', vcpus: 'vcpus' },
} as const;

export type FlavorSortKey = keyof typeof SORT_COLUMNS;
export const FLAVOR_SORT_KEYS = Object.keys(SORT_COLUMNS) as readonly FlavorSortKey[];

export interface FlavorSearch {
  /** null: public or not. */
  readonly isPublic: boolean | null;
  /** What this project has access to is found in any case. */
  readonly projectId: string;
  readonly ramMbMin: number;
  readonly diskGbMin: number;
  readonly sortKey: FlavorSortKey;
  readonly descending: boolean;
  /** The id after which to begin; null: at the beginning. */
  readonly marker: string | null;
  readonly limit: number;
}

/** @returns null when nothing that is found has the id of the marker */
export async function searchFlavors(tx: Tx, search: FlavorSearch): Promise<FlavorEntity[] | null> {
  const found = `($1::boolean IS NULL OR is_public = $1
                  OR id IN (SELECT flavor_id FROM flavor_access WHERE project_id = $2))`;
  const scope = [search.isPublic, search.projectId];
  if (search.marker !== null) {
    const rows = await tx.query<unknown[]>(`SELECT 1 FROM flavors WHERE ${found} AND id = $3`, [
      ...scope,
      search.marker,
    ]);
    if (rows.length === 0) return null;
  }
  const column = SORT_COLUMNS[search.sortKey];
  const [after, direction] = search.descending ? ['<', 'DESC'] : ['>', 'ASC'];
  return tx.query<FlavorEntity[]>(
    `SELECT * FROM flavors
     WHERE ${found} AND ram_mb >= $3 AND disk_gb >= $4
       AND ($5::text IS NULL OR (${column}, id) ${after} (SELECT ${column}, id FROM flavors WHERE id = $5))
     ORDER BY ${column} ${direction}, id ${direction} LIMIT $6`,
    [...scope, search.ramMbMin, search.diskGbMin, search.marker, search.limit],
  );
}
