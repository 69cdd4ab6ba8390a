import { join } from 'node:path';
import { kernelRelease } from '../host-facts.js';
import { readText } from '../sysfs-read.js';
import { namesAt, textAt, type HostRoots } from './host-roots.js';

/** `not known`: there is no list of this kernel's modules to look into. */
export type ModuleState = 'loaded' | 'built in' | 'loadable' | 'missing' | 'not known';

const LIST_BYTES_MAX = 16 * 1024 * 1024;
const PROC_MODULES_BYTES_MAX = 1024 * 1024;
const RELEASE = /^[\w.+~-]{1,128}$/;

/** The modules of the running kernel. Names are compared with `_`, as the kernel does. */
export class ModuleIndex {
  private readonly loaded: ReadonlySet<string>;
  private readonly builtIn: ReadonlySet<string>;
  private readonly loadable: ReadonlySet<string>;
  /** Of the running kernel; null when its lists cannot be read. */
  readonly directory: string | null;

  constructor(roots: HostRoots) {
    const release = kernelRelease(roots.procRoot);
    const named = roots.modulesRoot !== null && release !== null && RELEASE.test(release) && !/^\.+$/.test(release);
    this.directory = named ? join(roots.modulesRoot as string, release as string) : null;
    const running = textAt(roots.procRoot, 'modules', PROC_MODULES_BYTES_MAX) ?? '';
    this.loaded = new Set([
      ...running.split('\n').flatMap((line) => line.split(' ', 1)),
      ...namesAt(roots.sysfsRoot, 'module'),
    ]);
    this.builtIn = this.listed('modules.builtin');
    const loadable = this.listed('modules.dep');
    this.loadable = loadable;
    if (loadable.size === 0 && this.builtIn.size === 0) this.directory = null;
  }

  stateOf(module: string): ModuleState {
    const name = module.replaceAll('-', '_');
    if (this.builtIn.has(name)) return 'built in';
    if (this.loaded.has(name)) return 'loaded';
    if (this.directory === null) return 'not known';
    return this.loadable.has(name) ? 'loadable' : 'missing';
  }

  /** Of `kernel/drivers/vfio/pci/vfio-pci.ko.xz: …`: the name of the file alone. */
  private listed(file: string): ReadonlySet<string> {
    if (this.directory === null) return new Set();
    const reading = readText(join(this.directory, file), LIST_BYTES_MAX);
    if (reading.kind !== 'text') return new Set();
    const names = reading.text.split('\n').map((line) => /([^/:\s]+)\.ko(?:\.\w+)?(?::|$)/.exec(line)?.[1] ?? '');
    return new Set(names.filter((name) => name !== '').map((name) => name.replaceAll('-', '_')));
  }
}
