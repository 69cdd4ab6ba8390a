import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BerthError } from '../errors.js';
import type { HttpRateSettings } from '../settings/settings.js';
import { type Attempts, UNCOUNTED } from './identity/attempts.js';
import type { Caller } from './identity/caller.js';

const WINDOW_MS = 60_000;
/** So many callers or addresses are counted; of more, those that were silent longest begin anew. */
const COUNTED_MAX = 20_000;
/** Of an IPv6 customer, who has so many bits to choose from, the network counts. */
const IPV6_NETWORK_BITS = 64;

/** A request, as far as it says whose it is. */
interface Asking {
  readonly ip: string;
  readonly caller?: Caller | undefined;
}

type Counter = (request: never, options?: { readonly increment: boolean }) => Promise<object>;

/** Counts requests in this process, and refuses those that are too many. */
export class Rates {
  private constructor(
    private readonly perCaller: Counter | null,
    private readonly perAddress: Counter | null,
    private readonly failures: Counter | null,
  ) {}

  static async open(app: NestFastifyApplication, settings: HttpRateSettings): Promise<Rates> {
    await app.register(rateLimit as never, { global: false, cache: COUNTED_MAX });
    const fastify = app.getHttpAdapter().getInstance();
    const counter = (max: number, keyGenerator: (request: Asking) => string): Counter | null =>
      max === 0
        ? null
        : (fastify.createRateLimit({ max, timeWindow: WINDOW_MS, keyGenerator: keyGenerator as never }) as Counter);
    return new Rates(
      counter(settings.requestsPerCaller, callerKey),
      counter(settings.requestsPerAddress, addressKey),
      counter(settings.failedLoginsPerAddress, addressKey),
    );
  }

  /**
   * Counts a request: for its caller, or where it has none for its address.
   *
   * @throws BerthError `request.too_many`
   */
  async count(request: Asking): Promise<void> {
    const counter = request.caller ? this.perCaller : this.perAddress;
    if (counter) refuse(await counter(request as never), 'Too many requests');
  }

  attemptsOf(request: Asking): Attempts {
    const { failures } = this;
    if (!failures) return UNCOUNTED;
    return {
      assertFewFailed: async () => {
        const {
          max = 0,
          remaining = 0,
          ttlInSeconds,
        } = (await failures(request as never, { increment: false })) as Counted;
        const isExceeded = max > 0 && remaining === 0;
        refuse({ isExceeded, ttlInSeconds }, 'Too many wrong passwords or tokens from this address');
      },
      failed: async () => void (await failures(request as never)),
    };
  }
}

interface Counted {
  readonly max?: number;
  readonly remaining?: number;
  readonly isExceeded?: boolean;
  readonly ttlInSeconds?: number | undefined;
}

function refuse({ isExceeded = false, ttlInSeconds = 1 }: Counted, what: string): void {
  if (!isExceeded) return;
  const retryAfterSeconds = Math.max(1, ttlInSeconds);
  throw new BerthError('request.too_many', `${what}; try again in ${retryAfterSeconds} s`, {
    details: { retryAfterSeconds },
  });
}

/** Ids may have any character but the zero. */
function callerKey({ caller }: Asking): string {
  return `${caller?.projectId}\0${caller?.userId}`;
}

function addressKey({ ip }: Asking): string {
  return normalizeIP(ip, IPV6_NETWORK_BITS);
}
