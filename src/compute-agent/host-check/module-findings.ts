import type { HostFinding } from './finding.js';
import { namesAt, type HostRoots } from './host-roots.js';
import type { ModuleIndex, ModuleState } from './module-index.js';

const WANTED: readonly (readonly [module: string, why: string])[] = [
  ['vfio', 'it hands devices to programs outside the kernel'],
  ['vfio-pci', 'it is the driver that devices are bound to'],
  ['vfio_iommu_type1', 'without it no program can map memory for a device'],
];
const AT_BOOT = '/etc/modules-load.d/berth-vfio.conf';

/** Whether the kernel's part of passthrough is there. */
export function moduleFindings(roots: HostRoots, modules: ModuleIndex): HostFinding[] {
  return WANTED.map(([module, why]) => {
    const state = stateOf(roots, modules, module);
    const [level, code] = LEVELS[state];
    const read = `${module}: ${state}${modules.directory === null ? '' : ` (${modules.directory}, ${roots.sysfsRoot}/module)`}`;
    return { level, code, subject: module, read, why, remedy: remedyFor(state, module) };
  });
}

/** A driver's directory says that it is there, whatever the lists say. */
function stateOf({ sysfsRoot }: HostRoots, modules: ModuleIndex, module: string): ModuleState {
  const state = modules.stateOf(module);
  const present = state === 'not known' || state === 'missing';
  return present && namesAt(sysfsRoot, 'bus/pci/drivers').includes(module) ? 'loaded' : state;
}

const LEVELS: Readonly<Record<ModuleState, readonly [HostFinding['level'], string]>> = {
  loaded: ['ok', 'module.ready'],
  'built in': ['ok', 'module.ready'],
  loadable: ['warning', 'module.not_loaded'],
  missing: ['error', 'module.missing'],
  'not known': ['warning', 'module.not_known'],
};

function remedyFor(state: ModuleState, module: string): string | null {
  const load = `modprobe ${module}; for the next boots a line ${module} in ${AT_BOOT}`;
  if (state === 'loadable') return load;
  if (state === 'not known') return `${load} (where the lists of modules are: --modules-root)`;
  if (state !== 'missing') return null;
  return `install the package with all modules of this kernel (linux-modules-extra-… on Ubuntu, kernel-modules on Fedora and RHEL), then: ${load}`;
}
