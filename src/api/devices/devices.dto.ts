import { ApiProperty } from '@nestjs/swagger';
import { DEVICE_TYPES } from '../../pci/device.js';
import { DRIFT_KINDS, DRIFT_POLICIES } from '../../pci/drift.js';
import type { DriftNote } from '../../pci/drift-notes.js';
import { DEVICE_STATUSES } from '../../pci/device-state.js';
import type { WireDevice } from '../../messages/device-bodies.js';
import type { DeviceRow } from '../../store/inventory-views.store.js';
import {
  CountParameter,
  FlagParameter,
  HexIdParameter,
  IdParameter,
  TextField,
  TextParameter,
  WordField,
} from '../fields.js';
import { PageQuery } from '../page.js';

const NUMA_NODE_MAX = 65_535;
const IOMMU_GROUP_MAX = 1_000_000;

export class DevicesQuery extends PageQuery {
  @TextParameter({ description: 'Name or id.' }) host?: string;
  @HexIdParameter({ example: '10de' }) vendor_id?: string;
  @HexIdParameter({ example: '1bb0' }) product_id?: string;
  @WordField({ words: DEVICE_TYPES, optional: true }) device_type?: string;
  @WordField({ words: DEVICE_STATUSES, optional: true }) status?: string;
  @FlagParameter({ description: 'Whether the host offers it.' }) offered?: boolean;
  @CountParameter({ min: 0, max: NUMA_NODE_MAX }) numa_node?: number;
  @CountParameter({ min: 0, max: IOMMU_GROUP_MAX }) iommu_group?: number;
  @TextParameter({ description: 'Offered devices that this alias takes, free or not.' }) alias?: string;
  @IdParameter({ description: 'Devices that this server holds.' }) server_id?: string;
}

/** Why an admin takes a device out of use. */
export class HoldDevice {
  @TextField({ example: 'fan is failing, see ticket 4711' }) reason: string;
}

export class SriovView {
  @ApiProperty({ type: 'integer' }) readonly total_vfs: number;
  @ApiProperty({ type: 'integer' }) readonly num_vfs: number;
}

export class LinkView {
  @ApiProperty({ type: String, nullable: true, example: '16.0 GT/s PCIe' }) readonly current_speed: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly max_speed: string | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly current_width: number | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly max_width: number | null;
}

export class OfferView {
  @ApiProperty({ type: 'integer', description: 'The device_spec entry that matched first, from 0.' })
  readonly entry: number;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string', nullable: true } })
  readonly tags: Readonly<Record<string, string | null>>;
  @ApiProperty({ type: String, nullable: true }) readonly resource_class: string | null;
  @ApiProperty({ type: [String] }) readonly traits: readonly string[];
}

export class ProtectionReasonView {
  @ApiProperty({ type: String, example: 'default_route' }) readonly code: string;
  @ApiProperty({ type: String, example: 'carries the default route (bond0 → eth0 → 0000:01:00.0)' })
  readonly text: string;
  @ApiProperty({ type: String }) readonly remedy: string;
}

export class ProtectionView {
  @ApiProperty({ type: [ProtectionReasonView], description: 'The weightiest first.' })
  readonly reasons: readonly ProtectionReasonView[];
  @ApiProperty({ type: Boolean, description: 'A device_spec entry for exactly this address offers it all the same.' })
  readonly overridden: boolean;
}

export class OwnerView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly server_name: string;
  @ApiProperty({ type: String, nullable: true, description: 'null: a port asked for it, or it comes along.' })
  readonly alias: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Name of the port that asked for it.' })
  readonly port: string | null;
}

export class DriftView {
  @ApiProperty({ type: String, enum: [...DRIFT_KINDS] }) readonly kind: string;
  @ApiProperty({ type: String }) readonly reason: string;
  @ApiProperty({ type: String, enum: [...DRIFT_POLICIES], description: 'quarantine: at the latest when it is freed.' })
  readonly policy: string;
  @ApiProperty({ type: String, format: 'date-time' }) readonly since: string;
  @ApiProperty({ type: String, nullable: true, description: 'Of a moved card: the address of the place it left.' })
  readonly from: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Of the place that it left: where the card is.' })
  readonly to: string | null;
}

/** What keeps a device from being bound or given back. */
export class BindingProblemView {
  @ApiProperty({
    type: String,
    enum: ['blocked', 'refused', 'driverless'],
    description:
      'blocked: it goes on by itself when a program lets go. refused: the kernel does not give it back yet. driverless: no driver took it.',
  })
  readonly state: string;
  @ApiProperty({ type: String, example: 'unbind' }) readonly step: string;
  @ApiProperty({ type: String, nullable: true, example: 'EBUSY' }) readonly errno: string | null;
  @ApiProperty({ type: String, nullable: true, example: 'qemu-system-x86 (process 4711)' })
  readonly held_by: string | null;
  @ApiProperty({ type: String }) readonly remedy: string;
  @ApiProperty({ type: String, format: 'date-time' }) readonly since: string;
}

export class DeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, format: 'uuid' }) readonly host_id: string;
  @ApiProperty({ type: Boolean, description: 'Of a recorded host: there is no such device in reach.' })
  readonly simulated: boolean;
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: String, enum: [...DEVICE_STATUSES] }) readonly status: string;
  @ApiProperty({ type: String, nullable: true, description: 'Why it is held back or out of use.' })
  readonly status_reason: string | null;
  @ApiProperty({ type: OwnerView, nullable: true }) readonly owner: OwnerView | null;
  @ApiProperty({ type: Boolean }) readonly offered: boolean;
  @ApiProperty({ type: OfferView, nullable: true }) readonly offer: OfferView | null;
  @ApiProperty({ type: String, nullable: true, description: 'Why the host does not offer it.' })
  readonly not_offered: string | null;
  @ApiProperty({
    type: ProtectionView,
    nullable: true,
    description: 'Why the host itself needs it; null: it does not.',
  })
  readonly protection: ProtectionView | null;
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'In use or held, and not reported since.',
  })
  readonly missing_since: Date | null;
  @ApiProperty({ type: [DriftView], description: 'What happened to it behind the ledger, as long as it matters.' })
  readonly drift: readonly DriftView[];
  @ApiProperty({ type: Boolean, description: 'It changed while in use; the change is taken over when it is freed.' })
  readonly change_pending: boolean;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String, enum: [...DEVICE_TYPES] }) readonly device_type: string;
  @ApiProperty({ type: String, description: 'Six hex digits.' }) readonly class_code: string;
  @ApiProperty({ type: String, nullable: true }) readonly subsystem_vendor_id: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly subsystem_product_id: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly revision: string | null;
  @ApiProperty({ type: String, nullable: true, description: "Of the card, from its VPD; a VF has its PF's." })
  readonly serial_number: string | null;
  @ApiProperty({ type: String, nullable: true, description: "A VF's PF." }) readonly parent_address: string | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly numa_node: number | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly iommu_group: number | null;
  @ApiProperty({ type: String, nullable: true, description: 'As last reported.' }) readonly driver: string | null;
  @ApiProperty({ type: SriovView, nullable: true }) readonly sriov: SriovView | null;
  @ApiProperty({ type: [String] }) readonly netdevs: readonly string[];
  @ApiProperty({ type: [String], description: 'From the host bridge down.' }) readonly pcie_path: readonly string[];
  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'ACS sends what it says to its neighbours up to the root complex first; null: not known.',
  })
  readonly acs_redirect: boolean | null;
  @ApiProperty({ type: LinkView, nullable: true }) readonly link: LinkView | null;
  @ApiProperty({ type: [String] }) readonly reset_methods: readonly string[];
  @ApiProperty({ type: BindingProblemView, nullable: true, description: 'It hangs while it is bound or given back.' })
  readonly binding_problem: BindingProblemView | null;
  @ApiProperty({ type: String, format: 'date-time' }) readonly updated_at: Date;
}

export class DevicePageView {
  @ApiProperty({ type: [DeviceView] }) readonly devices: readonly DeviceView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function deviceView(row: DeviceRow): DeviceView {
  return {
    id: row.id,
    host: row.host_name,
    host_id: row.host_id,
    simulated: row.kernel_kind === 'simulated',
    address: row.address,
    status: row.status,
    status_reason: row.status_reason,
    owner: ownerView(row),
    offered: row.offered,
    missing_since: row.missing_since,
    drift: (row.drift ?? []).map(driftView),
    change_pending: row.pending_facts !== null,
    ...factsView(row.facts),
    not_offered: notOffered(row),
    updated_at: row.updated_at,
  };
}

function driftView({ kind, reason, policy, since, from, to }: DriftNote): DriftView {
  return { kind, reason, policy, since, from: from ?? null, to: to ?? null };
}

/** Of a device in use that the host withdrew: what becomes of it. */
function notOffered({ facts, server_name }: DeviceRow): string | null {
  if (facts.offer !== null || server_name === null) return facts.not_offered;
  const why = facts.not_offered ?? 'no reason is given';
  return `no longer offered: ${why}; drained when server ${server_name} releases it`;
}

function ownerView({ server_id, server_name, alias, port }: DeviceRow): OwnerView | null {
  return server_id === null || server_name === null ? null : { server_id, server_name, alias, port };
}

function factsView(facts: WireDevice) {
  const { address: _address, original: _original, drift: _drift, ...shown } = facts;
  return {
    ...shown,
    serial_number: facts.serial_number ?? null,
    acs_redirect: facts.acs_redirect ?? null,
    protection: facts.protection ?? null,
    binding_problem: facts.binding_problem ?? null,
  };
}
