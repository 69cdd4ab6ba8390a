import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parsed, runIp } from '../ip-program.js';

/** More are not looked through: what is not found in them is said to be nowhere. */
const NAMESPACES_MAX = 4096;
const NAMED = '/run/netns';

/** An interface as `ip link` shows it. */
export interface NetdevLink {
  readonly name: string;
  readonly mac: string | null;
  readonly mtu: number | null;
  readonly isUp: boolean;
  /** The bond or bridge that it belongs to. */
  readonly master: string | null;
  /** The device that it is of, as its bus calls it: of most NICs a PCI address. null: it has none, or `ip` does not say. */
  readonly parent: string | null;
}

/** Interfaces of this machine, in all network namespaces. A namespace is a file (`/proc/PID/ns/net`); null: the agent's own. */
export interface NetdevProgram {
  /** @throws BerthError `binding.failed` */
  readonly links: (namespace: string | null) => Promise<readonly NetdevLink[]>;
  /** @param words as `['name', 'ens1f0']` @throws BerthError `binding.failed` with what the program has against it */
  readonly set: (namespace: string | null, netdev: string, words: readonly string[]) => Promise<void>;
  /** Those that have a name, and those that a process is in; each once, without the agent's own. */
  readonly namespaces: () => Promise<readonly string[]>;
  /** The agent's own, as a file that is the same to whoever is in another. */
  readonly own: string;
}

/** By iproute2's `ip`; in other namespaces by `nsenter`. Each call ends within some seconds. */
export function liveNetdevs(procRoot = '/proc'): NetdevProgram {
  const within = (namespace: string | null, args: readonly string[]): Promise<string> =>
    namespace === null ? runIp(['ip', ...args]) : runIp(['nsenter', `--net=${namespace}`, '--', 'ip', ...args]);
  return {
    own: `/proc/${process.pid}/ns/net`,
    links: async (namespace) => parsed(await within(namespace, ['-j', '-d', 'link', 'show'])).flatMap(linkIn),
    set: async (namespace, netdev, words) => {
      await within(namespace, ['link', 'set', 'dev', netdev, ...words]);
    },
    namespaces: () => namespacesOf(procRoot),
  };
}

function linkIn(link: Readonly<Record<string, unknown>>): NetdevLink[] {
  const { ifname, address, mtu, flags, master, parentdev } = link;
  if (typeof ifname !== 'string') return [];
  return [
    {
      name: ifname,
      mac: typeof address === 'string' ? address : null,
      mtu: typeof mtu === 'number' ? mtu : null,
      isUp: Array.isArray(flags) && flags.includes('UP'),
      master: typeof master === 'string' ? master : null,
      parent: typeof parentdev === 'string' ? parentdev : null,
    },
  ];
}

async function namespacesOf(procRoot: string): Promise<readonly string[]> {
  const known = new Set<string>([await identityOf(`/proc/${process.pid}/ns/net`)]);
  const named = (await readdir(NAMED).catch(() => [])).map((name) => join(NAMED, name));
  const pids = (await readdir(procRoot).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const path of [...named, ...pids.map((pid) => join(procRoot, pid, 'ns/net'))]) {
    // A process that has ended meanwhile has none.
    const identity = await identityOf(path);
    if (identity === '' || known.has(identity)) continue;
    known.add(identity);
    found.push(path);
    if (found.length >= NAMESPACES_MAX) break;
  }
  return found;
}

async function identityOf(path: string): Promise<string> {
  const link = await readlink(path).catch(() => null);
  if (link !== null) return link;
  // A named one is a file on which the namespace is mounted.
  const file = await stat(path).catch(() => null);
  return file === null ? '' : `net:[${file.ino}]`;
}

/** Whether two descriptions are of the same device; without a parent, by the hardware's address. */
export function isLinkOf(link: NetdevLink, wanted: Pick<NetdevLink, 'parent' | 'mac'>): boolean {
  if (wanted.parent !== null) return link.parent === wanted.parent;
  return wanted.mac !== null && link.mac === wanted.mac;
}
