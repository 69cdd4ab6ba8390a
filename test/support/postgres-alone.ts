import type { TestProject } from 'vitest/node';
import { provide } from './services.js';

/** vitest's global setup of projects that need no broker. */
export function setup(project: TestProject): Promise<() => Promise<void>> {
  return provide(project, ['databaseUrl']);
}
