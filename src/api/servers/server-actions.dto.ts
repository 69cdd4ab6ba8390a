import { GUEST_ACTS } from '../../messages/server-bodies.js';
import { TextField } from '../fields.js';

/** What the native face does with servers. */
export const SERVER_ACTIONS = [
  ...GUEST_ACTS,
  'lock',
  'unlock',
  'shelve',
  'unshelve',
  'evacuate',
  'migrate',
  'resize',
] as const;
export type ServerAction = (typeof SERVER_ACTIONS)[number];

export class ServerActionBody {
  @TextField({ optional: true, description: 'Of `lock`: why.' }) reason?: string;
  @TextField({ optional: true, description: 'Of `unshelve`: only on hosts of this zone.' }) availability_zone?: string;
  @TextField({ optional: true, description: 'Of `resize`: id or name of the next one.' }) flavor?: string;
  @TextField({ optional: true, description: 'Of `migrate`: the only host that will do.' }) host?: string;
}
