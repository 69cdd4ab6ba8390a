import { Option } from 'commander';
import { hostGroupsText } from '../reports/host-groups-text.js';
import { filled, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';

const STATES = ['viable', 'protected', 'blocked', 'not_offered', 'bridges'] as const;

interface GivenFilter {
  readonly group?: number;
  readonly state?: (typeof STATES)[number];
}

/** `berth iommu group list`. */
export function addIommuGroup(noun: Noun): void {
  reportVerb(noun, 'group list <host>', 'what of a host can only be handed over together, and what is in the way', {
    options: (command) =>
      command
        .option('--group <number>', 'only this group', wholeNumber)
        .addOption(new Option('--state <state>', 'only such groups').choices([...STATES])),
    answer: ({ rest, ask }: Session, { group, state }: GivenFilter, host: string) => {
      const query = filled({ group, state });
      return ask(rest.GET('/v1/hosts/{host}/iommu-groups', { params: { path: { host }, query } }));
    },
    text: hostGroupsText,
  });
}
