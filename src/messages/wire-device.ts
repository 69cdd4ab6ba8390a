import { BerthError } from '../errors.js';
import type { BindingProblemFacts, Protection, ReportedDevice, Tags } from '../pci/device.js';
import type { WireBindingProblem, WireDevice, WireProtection } from './device-bodies.js';

const TAGS_MAX = 64;
const TAG_TEXT_MAX = 255;

/** A device as it travels: snake_case, the field's own words. */
export function toWireDevice(device: ReportedDevice): WireDevice {
  return {
    address: device.address,
    vendor_id: device.vendorId,
    product_id: device.productId,
    class_code: device.classCode,
    subsystem_vendor_id: device.subsystemVendorId,
    subsystem_product_id: device.subsystemProductId,
    revision: device.revision,
    serial_number: device.serialNumber,
    device_type: device.deviceType,
    parent_address: device.parentAddress,
    numa_node: device.numaNode,
    driver: device.driver,
    iommu_group: device.iommuGroup,
    sriov: device.sriov && { total_vfs: device.sriov.totalVfs, num_vfs: device.sriov.numVfs },
    netdevs: [...device.netdevs],
    pcie_path: [...device.pciePath],
    acs_redirect: device.acsRedirect,
    link: device.link && {
      current_speed: device.link.currentSpeed,
      max_speed: device.link.maxSpeed,
      current_width: device.link.currentWidth,
      max_width: device.link.maxWidth,
    },
    reset_methods: [...device.resetMethods],
    ...(device.original && { original: { driver: device.original.driver, netdevs: [...device.original.netdevs] } }),
    ...(device.drift && { drift: device.drift.map(({ kind, reason }) => ({ kind, reason })) }),
    offer: device.offer && {
      entry: device.offer.entry,
      tags: { ...device.offer.tags },
      resource_class: device.offer.resourceClass,
      traits: [...device.offer.traits],
    },
    not_offered: device.notOffered,
    ...(device.protection && { protection: protectionCopy(device.protection) }),
    ...(device.bindingProblem && { binding_problem: toWireProblem(device.bindingProblem) }),
  };
}

/**
 * The device that travelled.
 *
 * @throws BerthError `message.invalid` when a tag is not a text or null
 */
export function fromWireDevice(wire: WireDevice): ReportedDevice {
  return {
    address: wire.address,
    vendorId: wire.vendor_id,
    productId: wire.product_id,
    classCode: wire.class_code,
    subsystemVendorId: wire.subsystem_vendor_id,
    subsystemProductId: wire.subsystem_product_id,
    revision: wire.revision,
    serialNumber: wire.serial_number ?? null,
    deviceType: wire.device_type,
    parentAddress: wire.parent_address,
    numaNode: wire.numa_node,
    driver: wire.driver,
    iommuGroup: wire.iommu_group,
    sriov: wire.sriov && { totalVfs: wire.sriov.total_vfs, numVfs: wire.sriov.num_vfs },
    netdevs: wire.netdevs,
    pciePath: wire.pcie_path,
    acsRedirect: wire.acs_redirect ?? null,
    link: wire.link && {
      currentSpeed: wire.link.current_speed,
      maxSpeed: wire.link.max_speed,
      currentWidth: wire.link.current_width,
      maxWidth: wire.link.max_width,
    },
    resetMethods: wire.reset_methods,
    ...(wire.original && { original: { driver: wire.original.driver, netdevs: wire.original.netdevs } }),
    ...(wire.drift && { drift: wire.drift.map(({ kind, reason }) => ({ kind, reason })) }),
    offer: wire.offer && {
      entry: wire.offer.entry,
      tags: checkedTags(wire.offer.tags, wire.address),
      resourceClass: wire.offer.resource_class,
      traits: wire.offer.traits,
    },
    notOffered: wire.not_offered,
    ...(wire.protection && { protection: protectionCopy(wire.protection) }),
    ...(wire.binding_problem && { bindingProblem: fromWireProblem(wire.binding_problem) }),
  };
}

/** Alike on both sides. */
function protectionCopy({ reasons, overridden }: Protection): WireProtection {
  return { reasons: reasons.map(({ code, text, remedy }) => ({ code, text, remedy })), overridden };
}

function toWireProblem({ heldBy, ...same }: BindingProblemFacts): WireBindingProblem {
  return { ...same, held_by: heldBy };
}

function fromWireProblem({ held_by: heldBy, ...same }: WireBindingProblem): BindingProblemFacts {
  return { ...same, heldBy };
}

function checkedTags(tags: Record<string, unknown>, address: string): Tags {
  const entries = Object.entries(tags);
  if (entries.length > TAGS_MAX) {
    throw new BerthError('message.invalid', `device ${address}: more than ${TAGS_MAX} tags`);
  }
  for (const [name, value] of entries) {
    const fits = value === null || (typeof value === 'string' && value.length <= TAG_TEXT_MAX);
    if (!fits || name.length > TAG_TEXT_MAX) {
      throw new BerthError(
        'message.invalid',
        `device ${address}: tag "${name.slice(0, 60)}" is not a short text or null`,
      );
    }
  }
  return Object.fromEntries(entries) as Tags;
}
