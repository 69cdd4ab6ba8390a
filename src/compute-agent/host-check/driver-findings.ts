import { join } from 'node:path';
import type { ReportedDevice } from '../../pci/device.js';
import { readLinkName } from '../sysfs-read.js';
import { groupedBy, someOf, type HostFinding } from './finding.js';
import type { HostRoots } from './host-roots.js';
import type { ModuleIndex } from './module-index.js';

const PASSTHROUGH = new Set(['vfio-pci', 'pci-stub']);
const DISPLAY = '03';
const SOFTDEPS = '/etc/modprobe.d/berth-vfio.conf';

/** Which drivers take offered devices at boot. The agent unbinds them by itself; drivers of displays may not let go. */
export function driverFindings(
  roots: HostRoots,
  devices: readonly ReportedDevice[],
  modules: ModuleIndex,
): HostFinding[] {
  const taken = devices.filter(({ offer, driver }) => offer !== null && driver !== null && !PASSTHROUGH.has(driver));
  return [...groupedBy(taken, ({ driver }) => driver as string)].map(([driver, its]) => {
    const ofDisplay = its.some(({ classCode }) => classCode.startsWith(DISPLAY));
    const module = moduleOf(roots, driver);
    const read = `${driver} has ${someOf(its.map(({ address }) => address))}`;
    if (!ofDisplay) {
      const why = 'the agent takes the devices from it when a server gets them, and gives them back afterwards';
      return { level: 'ok', code: 'driver.gives_way', subject: driver, read, why, remedy: null };
    }
    return {
      level: 'warning',
      code: 'driver.takes_at_boot',
      subject: driver,
      read,
      why: 'drivers of displays are hard to part from their cards: consoles and programs hold them, and the firmware of some cards does not start twice',
      remedy: remedyFor(module, modules.stateOf(module) === 'built in', idsOf(its)),
    };
  });
}

/** A driver in the kernel itself comes before every module, so only an argument keeps it away. */
function remedyFor(module: string, builtIn: boolean, ids: string): string {
  if (builtIn)
    return `${module} is built in: boot with vfio-pci built in as well and vfio-pci.ids=${ids}, or with a kernel that has it as a module`;
  return `write to ${SOFTDEPS}: "softdep ${module} pre: vfio-pci" and "options vfio-pci ids=${ids}" (or "blacklist ${module}" when no card is for the host), then update-initramfs -u or dracut -f, and reboot; \`berth host prepare\` writes it`;
}

function moduleOf({ sysfsRoot }: HostRoots, driver: string): string {
  const reading = readLinkName(join(sysfsRoot, 'bus/pci/drivers', driver, 'module'));
  return reading.kind === 'text' && /^\w{1,64}$/.test(reading.text) ? reading.text : driver;
}

function idsOf(devices: readonly ReportedDevice[]): string {
  return [...new Set(devices.map(({ vendorId, productId }) => `${vendorId}:${productId}`))].sort().join(',');
}
