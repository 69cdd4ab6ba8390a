import type { AgentReport } from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import type { ReportedDevice } from '../pci/device.js';
import type { AuditBody } from './audit-bodies.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';

/** What a report changes of one host. */
interface HostNews {
  readonly hostId: string;
  readonly report: Pick<AgentReport, 'host'>;
  readonly known: ReadonlyMap<string, { readonly facts: WireDevice }>;
  readonly written: readonly ReportedDevice[];
  readonly parked: readonly ReportedDevice[];
}

/**
 * Audits that a host has begun to give away what it needs itself, because its whitelist says so of that address: when that is new, and when it is needed for
 * something else.
 */
export async function auditOverrides(tx: Tx, news: readonly HostNews[]): Promise<void> {
  const bodies = news.flatMap(({ hostId, report, known, written, parked }) =>
    [...written, ...parked].flatMap((device) => {
      if (!device.protection?.overridden || !isNews(known.get(device.address)?.facts, device)) return [];
      return [overrideBody(hostId, report.host, device)];
    }),
  );
  await writeAudit(tx, bodies);
}

/** While a server has the device, its host does not need it: it is no news that it does again afterwards. */
function isNews(before: WireDevice | undefined, { protection }: ReportedDevice): boolean {
  if (before?.original) return false;
  const codes = (reasons: readonly { readonly code: string }[] = []): string => reasons.map(({ code }) => code).join();
  return !before?.protection?.overridden || codes(before.protection.reasons) !== codes(protection?.reasons);
}

function overrideBody(hostId: string, host: string, { address, offer, protection }: ReportedDevice): AuditBody {
  return {
    kind: 'admin',
    action: 'device.protection_overridden',
    actor: 'device_spec',
    ...{ host_id: hostId, host, address },
    entry: offer?.entry ?? null,
    reasons: protection?.reasons.map(({ code, text }) => ({ code, text })) ?? [],
  };
}
