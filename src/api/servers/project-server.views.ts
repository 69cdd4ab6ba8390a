import { ERROR_CODES } from '../../errors.js';
import type { FaultView, ServerSummaryView, ServerView } from './server.views.js';

/** Events whose words are about the server alone. */
const PLAIN_EVENTS: ReadonlySet<string> = new Set(['requested', 'deleted', 'delete_requested']);

/** A server in a list, as its project may see it: without its host, as Nova does it. */
export function projectSummaryView<View extends ServerSummaryView>(view: View): View {
  return { ...view, host: null, numa_cells: null, fault: view.fault && projectFault(view.fault) };
}

/** The same of a server with its devices: which they are, and not where they are. */
export function projectServerView(view: ServerView): ServerView {
  return {
    ...projectSummaryView(view),
    devices: view.devices.map((device) => ({
      ...device,
      ...{ address: null, numa_node: null, iommu_group: null, vfio: null, libvirt_hostdev_xml: null, qemu_args: null },
    })),
    events: view.events.map((event) => (PLAIN_EVENTS.has(event.event) ? event : { ...event, message: '' })),
  };
}

/** The reasons are in the explanation, in words for the project. */
function projectFault({ code }: FaultView): FaultView {
  const known: Readonly<Record<string, string>> = ERROR_CODES;
  return {
    code,
    message: known[code] ?? 'The server could not be placed or prepared; its explanation says why.',
    details: {},
  };
}
