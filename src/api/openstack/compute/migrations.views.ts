import type { ServerMoveEntity } from '../../../store/entities/action.entities.js';
import { novaTime } from './instance-actions.views.js';

const SINCE = { type: 23, uuid: 59, asker: 80 } as const;

/** A server that left a host, or is to. The flavors' numbers are null: Berth's flavors have none. */
export function migrationView(move: ServerMoveEntity, minor: number): object {
  return {
    id: move.id,
    status: move.status,
    instance_uuid: move.server_id,
    ...{ source_node: move.source_host, source_compute: move.source_host },
    ...{ dest_node: move.target_host, dest_compute: move.target_host, dest_host: null },
    ...{ old_instance_type_id: null, new_instance_type_id: null },
    ...{ created_at: novaTime(move.created_at), updated_at: novaTime(move.updated_at) },
    ...(minor >= SINCE.type ? { migration_type: move.kind } : {}),
    ...(minor >= SINCE.uuid ? { uuid: move.uuid } : {}),
    ...(minor >= SINCE.asker ? { user_id: move.user_id, project_id: move.project_id } : {}),
  };
}
