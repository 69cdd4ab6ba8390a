import { spawn, type ChildProcess } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { liveNetdevs } from '../../src/compute-agent/netdev/netdev-program.js';
import type { BinderHost } from '../../src/compute-agent/vfio-binder.js';
import { binderWorld, scan, type BinderWorld } from './binder-world.js';
import { sriovNicHost } from './hosts.js';
import { run } from './processes.js';

let count = 0;

/** `ip`, of the network namespace with this name, or of this process. */
export async function ip(words: string, namespace: string | null = null): Promise<string> {
  const where = namespace === null ? [] : ['-n', namespace];
  return (await run('ip', [...where, ...words.split(' ')])).stdout;
}

/** @returns null when interfaces can be made and moved on this machine, or why not */
export async function netdevsMissing(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'that needs root';
  try {
    await ip('link add btprobe0 type veth peer name btprobe1');
    await ip('link del btprobe0');
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A recorded host one of whose NICs has an interface of this machine: one end of a cable whose other end nobody has. */
export interface NetdevWorld extends BinderWorld {
  readonly address: string;
  readonly netdev: string;
  readonly mac: string;
  readonly live: () => Promise<BinderHost>;
  /** Makes the interface again, as its driver would. */
  readonly plug: () => Promise<void>;
}

export async function netdevWorld(ends: (() => Promise<void>)[]): Promise<NetdevWorld> {
  const world = await binderWorld(sriovNicHost('h', 0), ends);
  const nics = (await scan(world)).filter(({ netdevs, driver }) => netdevs.length === 1 && driver !== null);
  const nic = nics.at(-1);
  if (!nic) throw new Error('The recorded host has no NIC.');
  const number = `${process.pid}${count++}`.slice(-9);
  const netdev = `bt${number}a`;
  const net = join(world.disk.sysfs, 'bus/pci/devices', nic.address, 'net');
  await rename(join(net, nic.netdevs[0] as string), join(net, netdev));
  world.tags.set(nic.address, { handover: 'netdev' });
  const mac = '02:be:27:00:00:01';
  const plug = async (): Promise<void> => {
    await ip(`link add ${netdev} address ${mac} type veth peer name bt${number}b`);
  };
  await plug();
  ends.push(() =>
    ip(`link del bt${number}b`).then(
      () => undefined,
      () => undefined,
    ),
  );
  const live = async (): Promise<BinderHost> => ({ ...(await world.agent()), netdevs: liveNetdevs() });
  return { ...world, address: nic.address, netdev, mac, live, plug };
}

/** A network namespace with a name. */
export async function namedNamespace(ends: (() => Promise<void>)[]): Promise<string> {
  const name = `berth-test-${process.pid}-${count++}`;
  await ip(`netns add ${name}`);
  ends.push(() =>
    ip(`netns del ${name}`).then(
      () => undefined,
      () => undefined,
    ),
  );
  return name;
}

/** A process with a network namespace of its own, as containers have it. */
export async function processInNamespace(
  ends: (() => Promise<void>)[],
): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  ends.push(async () => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child as unknown as ChildProcess & { readonly pid: number };
}

/** Of an interface of this process's namespace; null: there is no such one. */
export async function linkState(netdev: string): Promise<{ mac: string; mtu: number; isUp: boolean } | null> {
  const links = (await liveNetdevs().links(null)).filter(({ name }) => name === netdev);
  const [link] = links;
  return link ? { mac: link.mac ?? '', mtu: link.mtu ?? 0, isUp: link.isUp } : null;
}
