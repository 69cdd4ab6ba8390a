import { settleDevice } from './simulated-kernel-drivers.js';
import { settleVirtualFunctions } from './simulated-kernel-sriov.js';
import type { SimulatedTree } from './simulated-kernel-tree.js';

/**
 * Finishes what a killed process had begun: of each device, the `driver` link and `sriov_numvfs` are the truth, and
 * all else is made to agree with them.
 */
export function repair(tree: SimulatedTree): void {
  for (const address of tree.addresses()) {
    const device = tree.device(address);
    if (device === null) continue;
    if (tree.exists(`${device.directory}/sriov_numvfs`)) settleVirtualFunctions(tree, device);
    settleDevice(tree, device);
  }
}
