import type { Address } from '../pci/address.js';
import { bindingMode, type BindingMode } from '../pci/binding-mode.js';
import type { ReportedDevice } from '../pci/device.js';

/** How the whitelist, as the last scan read it, says that devices are bound. */
export class BindingModes {
  private modes: ReadonlyMap<Address, BindingMode> | null = null;

  /** @param scan looks at the host, and teaches what it finds */
  constructor(private readonly scan: () => Promise<unknown>) {}

  learn(devices: readonly ReportedDevice[]): void {
    this.modes = new Map(
      devices.flatMap(({ address, offer }) => (offer ? [[address, bindingMode(offer.tags)] as const] : [])),
    );
  }

  /** Of a device that is not offered (any more): as if its entry said nothing of it. */
  async of(address: Address): Promise<BindingMode> {
    // A command may be quicker than the first scan.
    if (this.modes === null) await this.scan();
    return this.modes?.get(address) ?? bindingMode({});
  }
}
