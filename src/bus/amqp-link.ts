import { setMaxListeners } from 'node:events';
import { connect, type ChannelModel, type RecoveringChannelModel } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import { amqpAccess, type AccessSettings } from './amqp-access.js';
import { AmqpSession, type SessionOptions } from './amqp-session.js';
import type { BusLog } from './bus-log.js';
import { withTimeLimit } from './time-limit.js';

const HANDSHAKE_MS_MAX = 10_000;
const RECONNECT_MS_FIRST = 100;
const RECONNECT_MS_MAX = 5_000;
const CLOSE_MS_MAX = 3_000;

export interface AmqpLinkOptions {
  readonly access: AccessSettings;
  readonly session: SessionOptions;
  /** Builds what a new connection needs; called for each, before {@link AmqpLink.session} has it no longer. */
  readonly onSession: (session: AmqpSession) => Promise<void>;
}

/**
 * The connection to the broker, made again for ever until it is closed. At most one session lives at a time.
 */
export class AmqpLink {
  private readonly connection: Promise<RecoveringChannelModel>;
  private readonly abort = new AbortController();
  private readonly redact: (text: string) => string;
  private current: AmqpSession | null = null;
  private lastFailure: string | null = null;

  /** @throws BerthError `settings.invalid` when the URL is none of AMQP, or a file of `bus.tls` cannot be read */
  constructor(
    private readonly options: AmqpLinkOptions,
    private readonly log: BusLog,
  ) {
    const { url, options: forSocket } = amqpAccess(options.access);
    setMaxListeners(0, this.abort.signal); // each attempt to connect adds one
    this.redact = redactor(url);
    this.connection = this.connect(url, forSocket);
  }

  /** The live connection, or null. */
  session(): AmqpSession | null {
    return this.current;
  }

  async close(): Promise<void> {
    const session = this.current;
    this.current = null;
    try {
      const closing = (await this.connection).close();
      // amqplib answers `close` only when the broker does; a connection that is lost meanwhile is closed, too.
      await withTimeLimit(
        Promise.race([closing, ...(session ? [session.ended] : [])]),
        CLOSE_MS_MAX,
        () => new BerthError('bus.unavailable', `the broker did not answer in ${CLOSE_MS_MAX} ms`),
      );
    } catch (error) {
      this.log('warn', 'message broker connection cut', { reason: this.redact(messageOf(error)) });
    } finally {
      this.abort.abort();
    }
  }

  private async connect(url: URL, forSocket: object): Promise<RecoveringChannelModel> {
    const options = {
      ...forSocket,
      noDelay: true,
      keepAlive: true,
      timeout: HANDSHAKE_MS_MAX,
      clientProperties: { connection_name: `berth ${process.pid}` },
      // For the socket: ends an attempt that is under way when we close.
      signal: this.abort.signal,
      recovery: {
        waitForConnect: false,
        initialDelay: RECONNECT_MS_FIRST,
        maxDelay: RECONNECT_MS_MAX,
        setup: (model: ChannelModel) => this.setUp(model),
      },
    };
    const connection = await connect(url.href, options);
    connection.on('connect-failed', (error) => this.onFailure(error));
    connection.on('disconnect', (error) =>
      this.log('warn', 'message broker lost', { reason: this.redact(error.message) }),
    );
    connection.on('error', () => undefined);
    return connection;
  }

  private async setUp(model: ChannelModel): Promise<void> {
    const session = new AmqpSession(model, this.options.session, this.log);
    await session.openPublisher();
    this.adopt(session);
    await this.options.onSession(session);
    // amqplib looks for the end of a connection only after this function: an end meanwhile would be missed for ever.
    if (!session.isOpen()) throw new BerthError('bus.unavailable', 'the connection was lost while it was set up');
    this.lastFailure = null;
    this.log('info', 'message broker connected', {});
  }

  private adopt(session: AmqpSession): void {
    if (this.abort.signal.aborted) return;
    this.current = session;
    void session.ended.then(() => {
      if (this.current === session) this.current = null;
    });
  }

  /** A broker that is away for an hour is one line in the log, not a thousand. */
  private onFailure(error: Error): void {
    const reason = this.redact(messageOf(error) || (error as { code?: string }).code || error.name);
    if (reason !== this.lastFailure) this.log('warn', 'message broker cannot be reached; trying on', { reason });
    this.lastFailure = reason;
  }
}

function redactor(url: URL): (text: string) => string {
  const secrets = [url.password, safelyDecoded(url.password)].filter((secret) => secret !== '');
  return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
