import { BerthError } from '../../errors.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { Tx } from '../../store/database.js';
import { findReservation } from '../../store/reservations.store.js';
import type { ServerWishesBody } from './servers.dto.js';

/**
 * The part of a request that says which reservation its devices come from. A window that has not begun is no error: a
 * server may wait for it.
 *
 * @throws BerthError `reservation.unknown`, also when it is another project's; `reservation.invalid_status` when it is over
 */
export async function reservationWish(
  tx: Tx,
  { reservation: named }: ServerWishesBody,
  projectId: string,
): Promise<Pick<PlacementRequest, 'reservation'>> {
  if (named === undefined || named === null) return {};
  const id = named.toLowerCase();
  const found = await findReservation(tx, id);
  if (found?.project_id !== projectId)
    throw inField('reservation.unknown', `there is no reservation with the id ${id}`);
  if (found.status === 'ended' || found.status === 'cancelled') {
    throw inField('reservation.invalid_status', `${found.name} is ${found.status}`);
  }
  return { reservation: id };
}

function inField(code: 'reservation.unknown' | 'reservation.invalid_status', problem: string): BerthError {
  return new BerthError(code, `reservation: ${problem}`, { details: { errors: [{ field: 'reservation', problem }] } });
}
