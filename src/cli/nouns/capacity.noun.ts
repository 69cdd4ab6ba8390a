import { fragmentationText } from '../reports/capacity-text.js';
import { filled } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { listVerb, reportVerb } from '../verbs/verbs.js';

interface GivenAlias {
  readonly alias?: string;
}

/** `berth capacity`. */
export function addCapacity(noun: Noun): void {
  listVerb(noun, 'list', 'what there is of each alias, and how much of it can be had now', {
    options: (command) => command.option('--alias <name>', 'only this alias'),
    rows: ({ rest, all }: Session, { alias }: GivenAlias) =>
      all((query) => rest.GET('/v1/capacity', { params: { query: { ...query, ...filled({ alias }) } } })),
    columns: [
      ...(['alias', 'there', 'in_use', 'held', 'blocked', 'missing', 'free', 'fits'] as const),
      { name: 'largest', text: ({ largest }) => (largest ? `${largest.count} (${largest.host})` : 'none') },
    ],
  });
}

/** `berth fragmentation`. */
export function addFragmentation(noun: Noun): void {
  reportVerb(noun, 'show', 'what is free and of use to nobody now, and why', {
    options: (command) => command.option('--alias <name>', 'only this alias'),
    answer: ({ rest, all }: Session, { alias }: GivenAlias) =>
      all((query) => rest.GET('/v1/fragmentation', { params: { query: { ...query, ...filled({ alias }) } } })),
    text: fragmentationText,
  });
}
