import { join } from 'node:path';
import { readProcLines } from './proc-lines.js';
import { isPlainName } from './sysfs-links.js';

const RTF_UP = 0x1;
const RTF_REJECT = 0x200;
/** The first half of all IPv4 addresses is as good as a default route: VPNs split theirs in two. */
const IPV4_WIDE = new Set(['00000000', '00000080']);
/** 2000::/3 is all of the IPv6 internet. */
const IPV6_WIDE = 3;

/**
 * The interfaces of the default routes. Of IPv4 the kernel shows only the main table in `/proc/net/route`, of IPv6 all tables. First the network
 * of process 1 is asked, which is the host's when the agent lives in a container and sees its processes, then the agent's own.
 *
 * @returns interface names, in name order
 */
export function readDefaultRoutes(procRoot: string): {
  readonly interfaces: readonly string[];
  readonly problems: readonly string[];
} {
  const found = new Set<string>();
  const problems = new Set<string>();
  for (const net of ['1/net', 'net']) {
    for (const [file, interfaceOf] of [
      ['route', ipv4Interface],
      ['ipv6_route', ipv6Interface],
    ] as const) {
      const table = readProcLines(join(procRoot, net, file));
      for (const line of table?.lines ?? []) {
        const name = interfaceOf(line);
        if (name === null || name === 'lo') continue;
        if (isPlainName(name)) found.add(name);
        else problems.add(`the default route is over an interface whose name cannot be followed; see ip route`);
      }
      if (table?.problem) problems.add(table.problem);
    }
  }
  return { interfaces: [...found].sort(), problems: [...problems] };
}

/** `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT`, addresses in the host's byte order. */
function ipv4Interface(line: string): string | null {
  const [name, destination, , flags, , , , mask] = line.trim().split(/\s+/);
  if (name === undefined || flags === undefined || mask === undefined) return null;
  const isDefault = IPV4_WIDE.has(mask) && (destination === '00000000' || destination === '00000080');
  return isDefault && isInForce(flags) ? name : null;
}

/** `destination prefix source prefix next-hop metric references use flags interface`. */
function ipv6Interface(line: string): string | null {
  const [destination, prefix, , , , , , , flags, name] = line.trim().split(/\s+/);
  if (name === undefined || flags === undefined || !/^[0-9a-f]{32}$/.test(destination ?? '')) return null;
  return Number.parseInt(prefix ?? 'ff', 16) <= IPV6_WIDE && isInForce(flags) ? name : null;
}

function isInForce(flags: string): boolean {
  const value = Number.parseInt(flags, 16);
  return (value & RTF_UP) !== 0 && (value & RTF_REJECT) === 0;
}
