import { createHash, randomBytes } from 'node:crypto';
import { agentOptions } from './amqp-topology.js';
import { agentQueue, AGENTS_EXCHANGE, agentUser } from '../messages/routes.js';

const SALT_BYTES = 4;

/** What the broker lets the agent of a host do: take its own commands, and speak for itself. Regular expressions. */
export interface AgentPermissions {
  readonly user: string;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
  /** Keys under which it may send to the exchange that `write` names. */
  readonly keys: string;
}

const NOTHING = '^$';

export function agentPermissions(host: string): AgentPermissions {
  return {
    user: agentUser(host),
    configure: NOTHING,
    write: `^${literally(AGENTS_EXCHANGE)}$`,
    read: `^${literally(agentQueue(host))}$`,
    keys: `^(reports|outcomes|heartbeats)\\.${literally(host)}$`,
  };
}

/** How the user logs in: by a password that is in a file, or by a certificate that has the user's name. */
export type AgentLogin = { readonly by: 'password'; readonly file: string } | { readonly by: 'certificate' };

/** Lines for a shell on a machine of the broker. No password is in a command's arguments, where every user of the machine could read it. */
export function rabbitmqctlLines(host: string, vhost: string, login: AgentLogin): string[] {
  const { user, configure, write, read, keys } = agentPermissions(host);
  const ctl = (...words: readonly string[]): string => ['rabbitmqctl', ...words.map(quoted)].join(' ');
  const made =
    login.by === 'password'
      ? [`${ctl('add_user', user)} < ${quoted(login.file)}`]
      : [`openssl rand -base64 32 | ${ctl('add_user', user)}`, ctl('clear_password', user)];
  return [
    ...made,
    // first the keys: without them the next line would let it use any
    ctl('set_topic_permissions', '-p', vhost, user, AGENTS_EXCHANGE, keys, NOTHING),
    ctl('set_permissions', '-p', vhost, user, configure, write, read),
  ];
}

/**
 * The same for `rabbitmqctl import_definitions`, with the host's queue, so that its agent finds it at once.
 *
 * @param password null: it logs in by a certificate only
 */
export function definitionsOf(host: string, vhost: string, password: string | null): object {
  const { user, configure, write, read, keys } = agentPermissions(host);
  const queue = agentQueue(host);
  return {
    users: [{ name: user, ...hashed(password), tags: [] }],
    permissions: [{ user, vhost, configure, write, read }],
    topic_permissions: [{ user, vhost, exchange: AGENTS_EXCHANGE, write: keys, read: NOTHING }],
    exchanges: [
      {
        name: AGENTS_EXCHANGE,
        vhost,
        type: 'topic',
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: {},
      },
    ],
    queues: [{ name: queue, vhost, durable: true, auto_delete: false, arguments: agentOptions(queue).arguments }],
  };
}

/** Source: https://www.rabbitmq.com/docs/passwords#computing-password-hash; nobody logs in with an empty one. */
function hashed(password: string | null): object {
  if (password === null) return { password_hash: '', hashing_algorithm: 'rabbit_password_hashing_sha256' };
  const salt = randomBytes(SALT_BYTES);
  const hash = createHash('sha256').update(salt).update(password, 'utf8').digest();
  return {
    password_hash: Buffer.concat([salt, hash]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
  };
}

/** Names of hosts have letters, digits, `-` and `.`. */
function literally(text: string): string {
  return text.replaceAll('.', '\\.');
}

function quoted(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
