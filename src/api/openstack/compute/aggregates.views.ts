import type { AggregateRow } from '../../../store/aggregates.store.js';
import { stamp } from './stamp.js';

/** An aggregate as it is when it was just made. */
export function newAggregateView(row: AggregateRow, minor: number): object {
  const { id, number, name, availability_zone, created_at, updated_at } = row;
  const isChanged = updated_at.getTime() !== created_at.getTime();
  return {
    ...{ id: number, ...(minor >= 41 ? { uuid: id } : {}), name },
    created_at: stamp(created_at),
    updated_at: isChanged ? stamp(updated_at) : null,
    // what is deleted is shown to nobody
    ...{ deleted_at: null, deleted: false, availability_zone },
  };
}

/** The zone is in the metadata, too: that is where Nova keeps it. */
export function aggregateView(row: AggregateRow, minor: number): object {
  const { hosts, metadata, availability_zone } = row;
  return {
    ...newAggregateView(row, minor),
    hosts,
    metadata: { ...(availability_zone === null ? {} : { availability_zone }), ...metadata },
  };
}
