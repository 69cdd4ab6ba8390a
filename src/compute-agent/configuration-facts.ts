import { CONFIGURATION_PROBLEM_MAX, type WireConfiguration } from '../messages/bodies.js';
import type { ConfigurationState } from '../settings/live-configuration.js';

/** The state as it travels with the host's facts. The log has all of a long problem. */
export function wireConfiguration({ loadedAt, problem, needsRestart }: ConfigurationState): WireConfiguration {
  return {
    loaded_at: loadedAt.toISOString(),
    problem: problem === null ? null : problem.slice(0, CONFIGURATION_PROBLEM_MAX),
    needs_restart: [...needsRestart],
  };
}
