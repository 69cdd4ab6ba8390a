import { toWireDevice } from '../../messages/wire-device.js';
import type { SpecFinding } from '../../pci/device-spec/device-spec-coverage.js';
import type { OfferChange, WhitelistPreview } from '../../pci/device-spec/device-spec-preview.js';
import type { Offer } from '../../pci/device.js';
import type { ScannedHostRow } from '../../store/device-scans.store.js';
import type {
  CoverageView,
  FindingView,
  HostCoverageView,
  HostPreviewView,
  OfferChangeView,
} from './device-specs.dto.js';

const ENTRIES_MAX = 200;
const FINDINGS_MAX = 200;
const CHANGES_MAX = 200;
const ADDRESSES_MAX = 100;
/** Of one answer; from there on counts have to do. */
const ADDRESSES_IN_ALL_MAX = 50_000;

/** Counts what an answer lists, so that it cannot grow without end. */
export class Listing {
  private left = ADDRESSES_IN_ALL_MAX;

  addresses(all: readonly string[]): readonly string[] {
    const listed = all.slice(0, Math.min(ADDRESSES_MAX, this.left));
    this.left -= listed.length;
    return listed;
  }
}

export function hostPreviewView(host: ScannedHostRow, preview: WhitelistPreview, listing: Listing): HostPreviewView {
  const { added, removed, changed, uncertain, findings } = preview;
  const matching = preview.coverage.filter(({ matched }) => matched.length > 0);
  const held = removed.filter(({ holder }) => holder !== null);
  return {
    host: host.name,
    host_id: host.id,
    status: host.status,
    read_only: host.read_only,
    last_seen_at: host.last_seen_at,
    devices: host.devices,
    entries_count: matching.length,
    entries: matching.slice(0, ENTRIES_MAX).map((coverage): HostCoverageView => {
      const { entry, matched, decided } = coverage;
      return {
        entry,
        matched_count: matched.length,
        decided_count: decided.length,
        matched: listing.addresses(matched),
        decided: listing.addresses(decided),
      };
    }),
    findings_count: findings.length,
    findings: findings.slice(0, FINDINGS_MAX).map(findingView),
    added_count: added.length,
    added: changeViews(added),
    removed_count: removed.length,
    removed_held_count: held.length,
    removed: changeViews([...held, ...removed.filter(({ holder }) => holder === null)]),
    changed_count: changed.length,
    changed: changeViews(changed),
    uncertain_count: uncertain.length,
    uncertain: changeViews(uncertain),
    protected_count: preview.protected.length,
    protected: changeViews(preview.protected),
  };
}

/** Each entry's devices over several hosts. */
export function sumOfCoverage(entries: number, previews: readonly HostSums[]): CoverageView[] {
  const sums = Array.from({ length: entries }, (_, entry) => ({ entry, matched_count: 0, decided_count: 0 }));
  for (const { entry, matched, decided } of previews.flat()) {
    const sum = sums[entry];
    if (!sum) continue;
    sum.matched_count += matched;
    sum.decided_count += decided;
  }
  return sums;
}

export type HostSums = readonly { readonly entry: number; readonly matched: number; readonly decided: number }[];

export function hostSums({ coverage }: WhitelistPreview): HostSums {
  return coverage.flatMap(({ entry, matched, decided }) => {
    return matched.length === 0 ? [] : [{ entry, matched: matched.length, decided: decided.length }];
  });
}

export function findingViews(findings: readonly SpecFinding[]): FindingView[] {
  return findings.slice(0, FINDINGS_MAX).map(findingView);
}

function findingView({ kind, entry, by, message }: SpecFinding): FindingView {
  return { kind, entry, by, message };
}

function changeViews(changes: readonly OfferChange[]): OfferChangeView[] {
  return changes.slice(0, CHANGES_MAX).map(({ device, holder, before, after, reason, protection }) => ({
    address: device.address,
    vendor_id: device.vendorId,
    product_id: device.productId,
    device_type: device.deviceType,
    server: holder && { id: holder.id, name: holder.name },
    before: offerView(device, before),
    after: offerView(device, after),
    reason,
    protection,
  }));
}

function offerView(device: OfferChange['device'], offer: Offer | null): OfferChangeView['before'] {
  return toWireDevice({ ...device, offer }).offer;
}
