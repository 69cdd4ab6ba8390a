import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.js';

const ANSWER_MS_MAX = 8_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 1_500;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly attempts: number;
}

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly key?: string;
}

/** What all clients together have sent and got. */
export class Traffic {
  sent = 0;
  answered = 0;
  retried = 0;
  /** `POST /v1/servers 503 database.unavailable` → how often. */
  readonly answers = new Map<string, number>();
}

/** A client that asks either api, and asks again, with the same key, until it has an answer. */
export class Client {
  constructor(
    private readonly urls: readonly string[],
    private readonly random: Random,
    private readonly traffic: Traffic,
    private readonly deadline: () => number,
  ) {}

  /** @returns null when there was no answer until the deadline: whether it was done is not known */
  async ask(question: Question): Promise<Answer | null> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.attempt(question);
      if (answer !== null && isLast(answer)) {
        this.traffic.answered++;
        return { ...answer, attempts: attempt };
      }
      if (Date.now() > this.deadline()) return null;
      this.traffic.retried++;
      await sleep(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (attempt - 1)) + this.random(50));
    }
  }

  private async attempt({ method, path, body, key }: Question): Promise<Omit<Answer, 'attempts'> | null> {
    this.traffic.sent++;
    const url = this.urls[this.random(this.urls.length)];
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const text = await response.text();
      const parsed: unknown = text === '' ? {} : JSON.parse(text);
      this.note(`${method} ${nameOf(path)}`, response.status, (parsed as { code?: string }).code ?? '');
      return { status: response.status, body: parsed };
    } catch (error) {
      this.note(`${method} ${nameOf(path)}`, 'no answer', error instanceof Error ? error.name : '');
      return null;
    }
  }

  private note(...words: (string | number)[]): void {
    const line = words.join(' ').trim();
    this.traffic.answers.set(line, (this.traffic.answers.get(line) ?? 0) + 1);
  }
}

/** Not one that says "ask again". */
function isLast({ status, body }: Omit<Answer, 'attempts'>): boolean {
  return status < 500 && status !== 429 && (body as { code?: string }).code !== 'claim.conflict';
}

function nameOf(path: string): string {
  return path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, ':id');
}
