import type { Check } from '../health/health.module.js';
import type { LiveConfiguration } from '../settings/live-configuration.js';

/** A bad file takes no role out of service: it works on with what it read before. */
export function configurationCheck(configuration: LiveConfiguration): Record<string, Check> {
  const { problem, problemSince, loadedAt, needsRestart } = configuration.state();
  const waiting = needsRestart.length > 0 ? [`a restart is needed for ${needsRestart.join(', ')}`] : [];
  if (problem === null) return { configuration: { ok: true, ...(waiting[0] ? { message: waiting[0] } : {}) } };
  const old = `what was read at ${loadedAt.toISOString()} stays in force`;
  const since = `since ${problemSince?.toISOString()}`;
  return {
    configuration: { ok: false, advisory: true, message: [problem, `${old}; ${since}`, ...waiting].join('\n') },
  };
}
