import { settleDevice } from './simulated-kernel-drivers.js';
import { settleVirtualFunctions } from './simulated-kernel-sriov.js';
import type { SimulatedTree } from './simulated-kernel-tree.js';

/**
 * Finishes what a killed process had begun: of each device, the `driver` link and `sriov_numvfs` are the truth, and
 * all else is made to agree with them.
 */
export async function repair(tree: SimulatedTree): Promise<void> {
  for (const address of await tree.addresses()) {
    const device = await tree.device(address);
    if (device === null) continue;
    if (await tree.exists(`${device.directory}/sriov_numvfs`)) await settleVirtualFunctions(tree, device);
    await settleDevice(tree, device);
  }
}
