import { ConsoleLogger } from '@nestjs/common';
import type { Settings } from '../settings/settings.js';

const LEVELS = {
  error: ['fatal', 'error'],
  warn: ['fatal', 'error', 'warn'],
  info: ['fatal', 'error', 'warn', 'log'],
  debug: ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'],
} as const;

/** One JSON object a line: a constant message, the data in fields. */
export class RoleLogger extends ConsoleLogger {
  constructor(level: Settings['logLevel']) {
    super({ json: true, colors: false, logLevels: [...LEVELS[level]] });
  }

  /** From now on. */
  follow(level: Settings['logLevel']): void {
    this.setLogLevels([...LEVELS[level]]);
  }
}
