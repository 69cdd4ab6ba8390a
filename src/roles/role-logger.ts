import { ConsoleLogger, type LoggerService } from '@nestjs/common';
import type { Settings } from '../settings/settings.js';

const LEVELS = {
  error: ['fatal', 'error'],
  warn: ['fatal', 'error', 'warn'],
  info: ['fatal', 'error', 'warn', 'log'],
  debug: ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'],
} as const;

/** One JSON object a line: a constant message, the data in fields. */
export function roleLogger(level: Settings['logLevel']): LoggerService {
  return new ConsoleLogger({ json: true, colors: false, logLevels: [...LEVELS[level]] });
}
