import { readFileSync } from 'node:fs';
import { BerthError, messageOf } from '../../errors.js';
import type { Schemas } from '../client/rest-client.js';
import { whatIfText } from '../reports/what-if-text.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';

const HELP = `
The file is the body of POST /v1/placements/what-if, as YAML or JSON:
  changes:
    - {kind: add_hosts, like: gpu-1, count: 4}
    - {kind: lose_host, host: gpu-2}
  requests:
    - {flavor: m1.gpu, copies: 100}
Further changes: enable_host (host), free_server (server_id), hold_device, lift_hold and lose_device (host, address).
Nothing is changed, here or there.`;

const WHAT_IF = 'what would have a place if hosts, devices, servers or whitelists were others; - is standard input';

/** `berth what-if`. */
export function addWhatIf(noun: Noun): void {
  reportVerb(noun, 'what-if <file>', WHAT_IF, {
    help: HELP,
    answer: async ({ rest, ask }: Session, _given: unknown, file: string) =>
      ask(rest.POST('/v1/placements/what-if', { body: await questionIn(file) })),
    text: whatIfText,
  });
}

/** What is in it is looked at by the REST face. */
async function questionIn(file: string): Promise<Schemas['WhatIfBody']> {
  const { parse } = await import('yaml');
  let question: unknown;
  try {
    question = parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (cause) {
    throw new BerthError('request.invalid', `${file}: ${messageOf(cause)}`, { cause });
  }
  if (typeof question === 'object' && question !== null && !Array.isArray(question)) return question as never;
  throw new BerthError('request.invalid', `${file}: has to be an object with changes and requests`);
}
