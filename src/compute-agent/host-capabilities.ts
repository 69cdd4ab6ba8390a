import { machine } from 'node:os';
import { join } from 'node:path';
import { CPU_FEATURES_MAX, type WireCapabilities } from '../messages/bodies.js';
import type { AgentSettings } from '../settings/settings.js';
import { readText } from './sysfs-read.js';

const CPUINFO_BYTES_MAX = 4 * 1024 * 1024;
const FEATURE = /^[a-z0-9_.]{1,64}$/i;
const ARCHITECTURE = /^[a-z0-9_]{1,64}$/i;

/** What the hypervisor is, as the settings say, and what the machine can. What cannot be read is null, or left out. */
export function readCapabilities(
  { procRoot, kernel }: Pick<AgentSettings, 'procRoot' | 'kernel'>,
  hypervisor: AgentSettings['hypervisor'],
): WireCapabilities {
  return {
    architecture: architectureOf(procRoot) ?? (kernel === 'live' ? machine() : null),
    hypervisor_type: hypervisor.type,
    hypervisor_version: hypervisor.version,
    cpu_features: cpuFeatures(join(procRoot, 'cpuinfo')),
  };
}

/** Kernels since 6.1 say it; of a recorded tree this machine's own would be wrong. */
function architectureOf(procRoot: string): string | null {
  const reading = readText(join(procRoot, 'sys/kernel/arch'));
  return reading.kind === 'text' && ARCHITECTURE.test(reading.text) ? reading.text : null;
}

/** Of the first CPU, in name order: x86 calls the line flags, Arm Features. */
function cpuFeatures(path: string): string[] {
  const reading = readText(path, CPUINFO_BYTES_MAX);
  const line = reading.kind === 'text' ? /^(?:flags|Features)[\t ]*:(.*)$/m.exec(reading.text)?.[1] : undefined;
  const names = (line ?? '').split(/\s+/).filter((name) => FEATURE.test(name));
  return [...new Set(names)].sort().slice(0, CPU_FEATURES_MAX);
}
