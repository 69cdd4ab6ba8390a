import { Check, Column, Entity, ForeignKey, Generated, Index, PrimaryColumn, Unique } from 'typeorm';
import type {
  WireCapabilities,
  WireConfiguration,
  WireIommu,
  WireJournalClaim,
  WireNumaCell,
  WireResources,
} from '../../messages/bodies.js';
import type { WireDevice } from '../../messages/device-bodies.js';
import type { WireSriovState } from '../../messages/sriov-bodies.js';
import type { DriftNote } from '../../pci/drift-notes.js';
import type { AllocationRatios } from '../../placement/snapshot.js';

@Entity('hosts')
@Unique('hosts_name_key', ['name'])
@Check('hosts_status_check', `status IN ('up', 'down')`)
@Check('hosts_kernel_kind_check', `kernel_kind IN ('live', 'simulated')`)
@Index('hosts_changed_xid_idx', { synchronize: false })
@Index('hosts_number_idx', ['number'])
export class HostEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'hosts_pkey' }) id: string;
  @Column('text') name: string;
  @Column('text') status: 'up' | 'down';
  @Column('boolean', { default: true }) enabled: boolean;
  @Column('text', { nullable: true }) disabled_reason: string | null;
  @Column('bigint') epoch: number;
  @Column('bigint') report_sequence: number;
  @Column('text') report_hash: string;
  @Column('bigint', { default: 0 }) generation: number;
  @Column('bigint', { default: 0 }) changed_xid: number;
  @Column('timestamptz') last_seen_at: Date;
  @Column('integer') vcpus: number;
  @Column('bigint') memory_mb: number;
  @Column('bigint') disk_gb: number;
  @Column('jsonb') numa_cells: WireNumaCell[];
  @Column('text', { nullable: true }) kernel: string | null;
  @Column('text') kernel_kind: 'live' | 'simulated';
  @Column('boolean') read_only: boolean;
  @Column('text') agent_version: string;
  /** null: the agent does not say. */
  @Column('jsonb', { nullable: true }) configuration: WireConfiguration | null;
  /** As an admin has set them. */
  @Column('jsonb', { default: [] }) traits: string[];
  /** As an admin has set it; null: as the agent says. */
  @Column('jsonb', { nullable: true }) reserved: WireResources | null;
  @Column('jsonb', { nullable: true }) reported_reserved: WireResources | null;
  /** As an admin has set them; null: as the settings say. */
  @Column('jsonb', { nullable: true }) allocation_ratios: AllocationRatios | null;
  /** null: the agent does not say. */
  @Column('jsonb', { nullable: true }) capabilities: WireCapabilities | null;
  /** null: the agent does not say. */
  @Column('jsonb', { nullable: true }) iommu: WireIommu | null;
  /** What the agent says of VFs that something is said of; null: nothing. */
  @Column('jsonb', { nullable: true }) sriov: WireSriovState[] | null;
  /** Who starts guests there; null: not its agent. */
  @Column('text', { nullable: true }) compute_driver: string | null;
  /** Of what is wished of its VFs; a later word has a higher one. */
  @Column('bigint', { default: 0 }) sriov_revision: number;
  /** Of the claims on its devices; a later word has a higher one. */
  @Column('bigint', { default: 0 }) device_claims_revision: number;
  /** One after another, since the last that did not fail. */
  @Column('integer', { default: 0 }) failed_builds: number;
  /** Counts changes that change nothing for a decision. */
  @Column('bigint', { default: 0 }) revision: number;
  /** The generation at which anything but who has what was changed last. */
  @Column('bigint', { default: 0 }) facts_generation: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  /** Its id for clients of Nova that know no UUIDs of hosts. */
  @Column('bigint') @Generated('increment') number: number;
  /** An administrator says that it is down, whatever its agent says. */
  @Column('boolean', { default: false }) forced_down: boolean;
  /** Of the host in the network of the broker; null: the agent does not say. */
  @Column('text', { nullable: true }) ip_address: string | null;
  /** null: the agent does not say. */
  @Column('timestamptz', { nullable: true }) booted_at: Date | null;
}

@Entity('devices')
@Unique('devices_host_address_key', ['host_id', 'address'])
@Check(
  'devices_status_check',
  `status IN ('available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'removed',
   'reserved', 'cleaning', 'failed', 'quarantined')`,
)
@Index('devices_vendor_product_idx', ['vendor_id', 'product_id'])
@Index('devices_cleaning_idx', ['cleaning_heard_at'], { where: 'cleaning_claim IS NOT NULL' })
export class DeviceEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'devices_pkey' }) id: string;
  @Column('uuid')
  @ForeignKey(() => HostEntity, { name: 'devices_host_id_fkey' })
  host_id: string;
  @Column('text') address: string;
  // Copies of what `facts` says, for filters and indexes; `inventory.store.ts` writes both in one place.
  @Column('text') vendor_id: string;
  @Column('text') product_id: string;
  @Column('text') device_type: string;
  @Column('text', { nullable: true }) parent_address: string | null;
  @Column('integer', { nullable: true }) numa_node: number | null;
  @Column('integer', { nullable: true }) iommu_group: number | null;
  @Column('boolean') offered: boolean;
  @Column('text') status: string;
  /** Why it is held; null when it is not. */
  @Column('text', { nullable: true }) status_reason: string | null;
  @Column('jsonb') facts: WireDevice;
  /** Of a device in use whose identity changed: applied when it is freed. */
  @Column('jsonb', { nullable: true }) pending_facts: WireDevice | null;
  /** What happened to it, as long as it matters; null: nothing. */
  @Column('jsonb', { nullable: true }) drift: DriftNote[] | null;
  /** Since when a device that is in use or held is not reported any more. */
  @Column('timestamptz', { nullable: true }) missing_since: Date | null;
  /** The claim after which its agent cleans it; null: it does not. */
  @Column('uuid', { nullable: true }) cleaning_claim: string | null;
  /** When its agent spoke of the cleaning, or was asked, last. */
  @Column('timestamptz', { nullable: true }) cleaning_heard_at: Date | null;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}

/** What the journal of a host's agent said when it was asked last. */
@Entity('agent_journals')
export class AgentJournalEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'agent_journals_pkey' })
  @ForeignKey(() => HostEntity, { name: 'agent_journals_host_id_fkey', onDelete: 'CASCADE' })
  host_id: string;
  @Column('bigint') epoch: number;
  /** By the database's clock; what was asked before says nothing of what is true since. */
  @Column('timestamptz') asked_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) at: Date;
  @Column('jsonb') claims: WireJournalClaim[];
}
