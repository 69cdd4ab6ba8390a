import type { Schemas } from '../client/rest-client.js';
import { RestRefusal } from '../client/rest-refusal.js';
import type { Session } from '../verbs/session.js';

/** What is read of the answers of `POST /v1/device-specs/preview`. */
export interface Preview {
  readonly hosts: readonly HostPreview[];
  /** Each entry over all hosts. */
  readonly entries: readonly {
    readonly entry: number;
    readonly matched_count: number;
    readonly decided_count: number;
  }[];
  readonly findings: readonly Finding[];
}

export interface HostPreview {
  readonly host: string;
  readonly status: string;
  readonly read_only: boolean;
  readonly devices: number;
  readonly findings: readonly Finding[];
  readonly added_count: number;
  readonly added: readonly Change[];
  readonly removed_count: number;
  readonly removed_held_count: number;
  readonly removed: readonly Change[];
  readonly changed_count: number;
  readonly changed: readonly Change[];
  readonly uncertain_count: number;
  readonly uncertain: readonly Change[];
  /** An older service leaves them out. */
  readonly protected_count?: number;
  readonly protected?: readonly Change[];
}

export interface Finding {
  readonly kind: string;
  readonly entry: number;
  readonly message: string;
}

export interface Change {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly device_type: string;
  readonly server: { readonly id: string; readonly name: string } | null;
  readonly reason: string;
}

export interface Wanted {
  readonly entries: readonly unknown[];
  readonly freeTags: readonly string[];
  readonly compat: 'strict' | 'nova';
  /** Empty: all. */
  readonly hosts: readonly string[];
  /** Where the entries stand, to name them in messages. */
  readonly places: readonly string[];
}

type PreviewBody = Schemas['PreviewBody'];
type PreviewPage = Preview & { readonly next: string | null };

const PAGES_MAX = 10_000;

/**
 * Asks the REST face, page after page.
 *
 * @throws BerthError `request.invalid` with what it has against the request; `settings.invalid` when the URL is none; an
 *   Error when there is no answer
 */
export async function askForPreview(session: Session, wanted: Wanted): Promise<Preview> {
  let sum: Preview | null = null;
  let marker: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const body = {
      device_specs: wanted.entries as PreviewBody['device_specs'],
      free_tags: [...wanted.freeTags],
      compat: wanted.compat,
      ...(wanted.hosts.length > 0 && { hosts: [...wanted.hosts] }),
      ...(marker !== null && { marker }),
    };
    const answer: Preview & { readonly next: string | null } = await post(session, body, wanted.places);
    sum = sum ? added(sum, answer) : { hosts: answer.hosts, entries: answer.entries, findings: answer.findings };
    marker = answer.next;
    if (marker === null) return sum;
  }
  throw new Error(`more than ${PAGES_MAX} pages of hosts; name hosts with --host`);
}

async function post({ rest, ask }: Session, body: PreviewBody, places: readonly string[]): Promise<PreviewPage> {
  try {
    return withPlaces(await ask(rest.POST('/v1/device-specs/preview', { body })), places) as PreviewPage;
  } catch (error) {
    if (!(error instanceof RestRefusal)) throw error;
    throw new RestRefusal(error.status, error.code, withPlaces(error.message, places) as string);
  }
}

/** `device_specs[2]` is `agent.yaml:14` to whoever wrote the file. */
function withPlaces(value: unknown, places: readonly string[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\bdevice_specs\[(\d+)\]/g, (whole, at: string) => places[Number(at)] ?? whole);
  }
  if (Array.isArray(value)) return value.map((item) => withPlaces(item, places));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withPlaces(item, places)]));
}

function added(sum: Preview, page: Preview): Preview {
  const entries = sum.entries.map((entry, at) => ({
    entry: entry.entry,
    matched_count: entry.matched_count + (page.entries[at]?.matched_count ?? 0),
    decided_count: entry.decided_count + (page.entries[at]?.decided_count ?? 0),
  }));
  return { hosts: [...sum.hosts, ...page.hosts], entries, findings: sum.findings };
}
