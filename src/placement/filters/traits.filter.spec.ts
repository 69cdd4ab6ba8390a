import { table } from '../../../test/support/filter-cases.js';

table('TraitsFilter', [
  ['nothing asked', { traits: ['CUSTOM_A'] }, {}, null],
  [
    'has it',
    { traits: ['CUSTOM_A', 'CUSTOM_B'] },
    { requiredTraits: ['CUSTOM_B'], forbiddenTraits: ['CUSTOM_C'] },
    null,
  ],
  [
    'misses one',
    { traits: ['CUSTOM_A'] },
    { requiredTraits: ['CUSTOM_A', 'CUSTOM_B'] },
    'trait.missing: trait CUSTOM_B wanted, the host does not have it',
  ],
  [
    'has one too many',
    { traits: ['CUSTOM_A'] },
    { forbiddenTraits: ['CUSTOM_A'] },
    'trait.forbidden: trait CUSTOM_A not wanted, the host has it',
  ],
]);
