import type { Tx } from './database.js';
import type { ServerDetailsEntity } from './entities/server-details.entities.js';

export type ServerDetails = Omit<ServerDetailsEntity, 'server_id'>;

/** The names stand in SQL. */
const COLUMNS: readonly (keyof ServerDetails)[] = [
  ...(['user_id', 'description', 'metadata', 'tags', 'key_name', 'config_drive', 'user_data'] as const),
  ...(['access_ipv4', 'access_ipv6', 'hostname', 'image_id', 'disk_config'] as const),
];

/** Servers of one call have the same, but for their host names. */
export async function insertServerDetails(
  tx: Tx,
  servers: readonly { readonly id: string; readonly hostname: string }[],
  details: Partial<Omit<ServerDetails, 'hostname'>>,
): Promise<void> {
  const given = COLUMNS.filter((column) => column !== 'hostname' && details[column] !== undefined);
  await tx.query(
    `INSERT INTO server_details (server_id, hostname${given.map((column) => `, ${column}`).join('')})
     SELECT id, hostname${given.map((_column, at) => `, $${at + 3}`).join('')} FROM unnest($1::uuid[], $2::text[]) AS c(id, hostname)`,
    [
      servers.map(({ id }) => id),
      servers.map(({ hostname }) => hostname),
      ...given.map((column) => valueOf(details, column)),
    ],
  );
}

/** Changes what is given; a server that has no details yet gets them. */
export async function changeServerDetails(tx: Tx, serverId: string, changes: Partial<ServerDetails>): Promise<void> {
  const given = COLUMNS.filter((column) => changes[column] !== undefined);
  if (given.length === 0) return;
  await tx.query(
    `INSERT INTO server_details (server_id, ${given.join(', ')}) VALUES ($1, ${given.map((_column, at) => `$${at + 2}`).join(', ')})
     ON CONFLICT (server_id) DO UPDATE SET ${given.map((column) => `${column} = excluded.${column}`).join(', ')}`,
    [serverId, ...given.map((column) => valueOf(changes, column))],
  );
}

function valueOf(details: Partial<ServerDetails>, column: keyof ServerDetails): unknown {
  return column === 'metadata' ? JSON.stringify(details.metadata) : details[column];
}

/** The request has the name, too: later decisions show it. */
export async function renameServer(tx: Tx, serverId: string, name: string): Promise<void> {
  await tx.query(
    `UPDATE servers SET name = $2::text, request = jsonb_set(request, '{serverName}', to_jsonb($2::text)) WHERE id = $1`,
    [serverId, name],
  );
}

/** Notes that something about the server has changed just now. */
export async function touchServer(tx: Tx, serverId: string): Promise<void> {
  await tx.query(`UPDATE servers SET updated_at = now() WHERE id = $1`, [serverId]);
}
