import type { Address } from '../pci/address.js';
import type { DeviceType } from '../pci/device.js';
import type { DeviceStatus } from '../pci/device-state.js';
import type { Tx } from './database.js';
import type { ClaimStatus } from './entities/workload.entities.js';

/** A device as a check sees it, with the claim that has it. */
export interface CheckedDevice {
  readonly id: string;
  readonly host_id: string;
  readonly host: string;
  readonly address: Address;
  readonly device_type: DeviceType;
  readonly parent_address: Address | null;
  readonly status: DeviceStatus;
  readonly iommu_group: number | null;
  readonly missing: boolean;
  readonly pending: boolean;
  /** As it was reported last. */
  readonly driver: string | null;
  /** The driver that its agent said it had when it was prepared; left out or null: it did not say. */
  readonly bound_to?: string | null;
  readonly claim_id: string | null;
  readonly claim_status: ClaimStatus | null;
  readonly server_id: string | null;
  readonly server: string | null;
  /** Nobody has it, but a claim that is not over had it, and its agent never said that it gave it back. */
  readonly lost: boolean;
  /** Its host answers and has had time to report it as it is since the claim became an allocation. */
  readonly settled: boolean;
  /** The report says that the agent holds it, and for a long time nothing has changed about it: nobody has it. */
  readonly held: boolean;
}

/** A function that somebody else had bound to vfio-pci before is left as it was; one that is claimed ahead of use is to be held. */
const HELD = `coalesce(d.facts -> 'original', 'null') <> 'null' AND coalesce(d.facts #>> '{original,driver}', '') <> 'vfio-pci'
            AND NOT EXISTS (SELECT 1 FROM device_claim_devices k WHERE k.host_id = d.host_id AND k.address = d.address)`;

/** All devices of these hosts. */
export async function readCheckedDevices(tx: Tx, hostIds: readonly string[], slowMs: number): Promise<CheckedDevice[]> {
  return tx.query(
    `WITH long_ago AS (SELECT now() - $2::float8 * interval '1 millisecond' AS at)
     SELECT d.id, d.host_id, h.name AS host, d.address, d.device_type, d.parent_address, d.status, d.iommu_group,
            d.missing_since IS NOT NULL AS missing, d.pending_facts IS NOT NULL AS pending, d.facts ->> 'driver' AS driver,
            a.binding ->> 'driver' AS bound_to, c.id AS claim_id, c.status AS claim_status, a.server_id, s.name AS server,
            CASE WHEN a.id IS NULL AND d.status IN ('claimed', 'allocated') THEN EXISTS
                   (SELECT 1 FROM allocations o JOIN claims oc ON oc.id = o.claim_id
                     WHERE o.device_id = d.id AND oc.status <> 'released') ELSE false END AS lost,
            h.status = 'up' AND coalesce(c.updated_at < long_ago.at, false) AS settled,
            a.id IS NULL AND d.status <> 'removed' AND h.status = 'up' AND d.updated_at < long_ago.at AND ${HELD} AS held
       FROM long_ago, devices d JOIN hosts h ON h.id = d.host_id
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
       LEFT JOIN claims c ON c.id = a.claim_id
       LEFT JOIN servers s ON s.id = a.server_id
      WHERE d.host_id = ANY($1)`,
    [hostIds, slowMs],
  );
}

/** Ids of all hosts in id order, or of the one with this name; none when there is no such host. */
export async function readHostIds(tx: Tx, name: string | null): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(
    `SELECT id FROM hosts WHERE $1::text IS NULL OR name = $1 ORDER BY id`,
    [name],
  );
  return rows.map((row) => row.id);
}

/** A free device is what was reported last at its address, and is there. */
export async function takePendingFacts(tx: Tx, deviceId: string): Promise<void> {
  await tx.query(
    `UPDATE devices SET missing_since = NULL, facts = coalesce(pending_facts, facts), pending_facts = NULL,
            vendor_id = coalesce(pending_facts, facts)->>'vendor_id',
            product_id = coalesce(pending_facts, facts)->>'product_id',
            device_type = coalesce(pending_facts, facts)->>'device_type',
            parent_address = coalesce(pending_facts, facts)->>'parent_address',
            numa_node = (coalesce(pending_facts, facts)->>'numa_node')::int,
            iommu_group = (coalesce(pending_facts, facts)->>'iommu_group')::int,
            offered = coalesce(pending_facts, facts)->'offer' <> 'null', updated_at = now()
      WHERE id = $1`,
    [deviceId],
  );
}
