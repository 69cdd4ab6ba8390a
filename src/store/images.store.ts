import type { Tx } from './database.js';
import type { ImageEntity, ImageVisibility } from './entities/image.entities.js';

export type ImageFields = Omit<ImageEntity, 'created_at' | 'updated_at'>;

/** Who looks: a project, or (null) somebody who sees all images. */
export type ImageViewer = string | null;

export const IMAGE_SORT_KEYS = ['created_at', 'updated_at', 'name', 'id'] as const;

/** Which images a list has; null is no filter. */
export interface ImageFilter {
  readonly names: readonly string[] | null;
  readonly ids: readonly string[] | null;
  readonly visibility: ImageVisibility | null;
  readonly owner: string | null;
  readonly tags: readonly string[];
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly protected: boolean | null;
  /** Properties that an image has with just these values. */
  readonly properties: Readonly<Record<string, string>>;
}

export interface ImagePage {
  /** The id of an image that there is; null: from the beginning. */
  readonly after: string | null;
  readonly limit: number;
  readonly sortKey: (typeof IMAGE_SORT_KEYS)[number];
  readonly descending: boolean;
}

const COLUMNS = `id, name, owner_project_id, visibility, members, protected, min_ram_mb, min_disk_gb, disk_format, container_format,
                 tags, properties, created_at, updated_at`;
/** Of the viewer `$1`. */
const IS_SEEN = `($1::text IS NULL OR visibility = 'public' OR owner_project_id = $1
                  OR (visibility = 'shared' AND $1 = ANY(members)))`;

export async function listImages(
  tx: Tx,
  viewer: ImageViewer,
  filter: ImageFilter,
  page: ImagePage,
): Promise<ImageEntity[]> {
  const key = page.sortKey === 'name' ? `coalesce(i.name, '')` : `i.${page.sortKey}`;
  const [order, after] = page.descending ? ['DESC', '<'] : ['ASC', '>'];
  return tx.query(
    `SELECT ${COLUMNS} FROM images i
      WHERE ${IS_SEEN}
        AND ($2::text[] IS NULL OR name = ANY($2))
        AND ($3::uuid[] IS NULL OR id = ANY($3))
        AND ($4::text IS NULL OR visibility = $4)
        AND ($5::text IS NULL OR owner_project_id = $5)
        AND tags @> $6::text[]
        AND ($7::text IS NULL OR disk_format = $7)
        AND ($8::text IS NULL OR container_format = $8)
        AND ($9::boolean IS NULL OR protected = $9)
        AND properties @> $10::jsonb
        AND ($11::uuid IS NULL OR (${key}, i.id) ${after} (SELECT ${key}, i.id FROM images i WHERE i.id = $11))
      ORDER BY ${key} ${order}, i.id ${order} LIMIT $12`,
    [
      ...[viewer, filter.names, filter.ids, filter.visibility, filter.owner, filter.tags],
      ...[filter.diskFormat, filter.containerFormat, filter.protected, JSON.stringify(filter.properties)],
      ...[page.after, page.limit],
    ],
  );
}

/** @param lock writers of it wait until the transaction has ended */
export async function findImage(
  tx: Tx,
  viewer: ImageViewer,
  id: string,
  { lock = false } = {},
): Promise<ImageEntity | null> {
  const rows = await tx.query<ImageEntity[]>(
    `SELECT ${COLUMNS} FROM images WHERE ${IS_SEEN} AND id = $2 ${lock ? 'FOR UPDATE' : ''}`,
    [viewer, id],
  );
  return rows[0] ?? null;
}

/** Those of a name; at most two, since more tell nothing new. */
export async function findImagesNamed(tx: Tx, viewer: ImageViewer, name: string): Promise<ImageEntity[]> {
  return tx.query(`SELECT ${COLUMNS} FROM images WHERE ${IS_SEEN} AND name = $2 ORDER BY created_at, id LIMIT 2`, [
    viewer,
    name,
  ]);
}

export async function countImages(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ count: number }[]>(`SELECT count(*)::int AS count FROM images`);
  return row?.count ?? 0;
}

/** @returns false when there is an image with this id already */
export async function insertImage(tx: Tx, image: ImageFields): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO images (id, name, owner_project_id, visibility, members, protected, min_ram_mb, min_disk_gb, disk_format,
                         container_format, tags, properties)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb) ON CONFLICT DO NOTHING RETURNING id`,
    valuesOf(image),
  );
  return rows.length > 0;
}

export async function updateImage(tx: Tx, image: ImageFields): Promise<void> {
  await tx.query(
    `UPDATE images SET name = $2, owner_project_id = $3, visibility = $4, members = $5, protected = $6, min_ram_mb = $7,
                       min_disk_gb = $8, disk_format = $9, container_format = $10, tags = $11, properties = $12::jsonb,
                       updated_at = now()
      WHERE id = $1`,
    valuesOf(image),
  );
}

/** Servers keep a copy of the properties, so an image can go at any time. */
export async function deleteImage(tx: Tx, id: string): Promise<void> {
  await tx.query(`DELETE FROM images WHERE id = $1`, [id]);
}

function valuesOf(image: ImageFields): unknown[] {
  return [
    ...[image.id, image.name, image.owner_project_id, image.visibility, image.members, image.protected],
    ...[image.min_ram_mb, image.min_disk_gb, image.disk_format, image.container_format, image.tags],
    JSON.stringify(image.properties),
  ];
}
