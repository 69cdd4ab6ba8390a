import { expect, it } from 'vitest';
import { RoleLogger } from './role-logger.js';

it('says what its level lets it, also when that changes', () => {
  const logger = new RoleLogger('warn');
  const levels = (): boolean[] =>
    (['error', 'warn', 'log', 'debug'] as const).map((level) => logger.isLevelEnabled(level));
  expect(levels()).toEqual([true, true, false, false]);
  logger.follow('debug');
  expect(levels()).toEqual([true, true, true, true]);
  logger.follow('error');
  expect(levels()).toEqual([true, false, false, false]);
});
