import { execFile, type ExecFileException } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthError } from '../errors.js';
import { LINK_STATES, type VfSettings } from '../pci/sriov/sriov-target.js';

/** Interfaces whose names could be taken for something else are not spoken of. */
const INTERFACE = /^[A-Za-z0-9_][\w.:+-]{0,14}$/;
const PROGRAM = 'ip';
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', nsenter: 'util-linux' };
const OUTPUT_MAX = 4 * 1024 * 1024;
const TIME_LIMIT_MS = 5_000;

/** What is asked of and said to network interfaces of the host. Each call ends within some seconds. */
export interface IpProgram {
  /** What each VF is set to, as far as the interface of its PF tells. @throws BerthError `binding.failed` */
  vfs(netdev: string): Promise<ReadonlyMap<number, Partial<VfSettings>>>;
  /** @param words as `['trust', 'on']` @throws BerthError `binding.failed` with what the program has against it */
  setVf(netdev: string, vf: number, words: readonly string[]): Promise<void>;
  /** Whether it has an address, up or not; link-local ones do not count. */
  hasAddresses(netdev: string): Promise<boolean>;
}

/** iproute2's `ip`, run once for each call: with fixed arguments, without a shell, with a time limit. */
export function liveIp(timeLimitMs = TIME_LIMIT_MS): IpProgram {
  const run = (args: readonly string[]): Promise<string> => runIp([PROGRAM, ...args], timeLimitMs);
  return {
    vfs: async (netdev) => vfsIn(await run(['-j', '-d', 'link', 'show', 'dev', interfaceName(netdev)])),
    setVf: async (netdev, vf, words) => {
      await run(['link', 'set', 'dev', interfaceName(netdev), 'vf', String(vf), ...words]);
    },
    hasAddresses: async (netdev) => hasAddress(await run(['-j', 'addr', 'show', 'dev', interfaceName(netdev)])),
  };
}

/** A recorded tree's interfaces are not this machine's. */
export function simulatedIp(): IpProgram {
  const refuse = (): never => {
    throw failed('simulated kernel: settings of VFs are not simulated');
  };
  return { vfs: async () => new Map(), setVf: async () => refuse(), hasAddresses: async () => false };
}

function interfaceName(netdev: string): string {
  if (INTERFACE.test(netdev)) return netdev;
  throw failed(`"${netdev.slice(0, 40)}" is not the name of an interface`);
}

/**
 * A program that the kernel does not let end is left behind when its time is over.
 *
 * @param command `ip` and its words, or what runs them elsewhere
 * @throws BerthError `binding.failed` with what it has against it
 */
export async function runIp(command: readonly [string, ...string[]], timeLimitMs = TIME_LIMIT_MS): Promise<string> {
  const [program, ...args] = command;
  const over = new AbortController();
  const text = new Promise<string>((resolve, reject) => {
    const options = { timeout: timeLimitMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_MAX, encoding: 'utf8' } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error) reject(failed(problemOf(program, error, stderr), error));
      else resolve(stdout);
    });
  });
  const late = delay(timeLimitMs + 1_000, undefined, { signal: over.signal, ref: false }).then(
    () => Promise.reject(failed(`ip did not end within ${timeLimitMs} ms`)),
    () => '',
  );
  try {
    return await Promise.race([text, late]);
  } finally {
    over.abort();
  }
}

function problemOf(program: string, error: ExecFileException, stderr: string): string {
  if (error.code === 'ENOENT') return `the program ${program} is missing; install ${PACKAGES[program] ?? program}`;
  if (error.killed === true) return 'ip did not end in time and was stopped';
  return stderr.trim().split('\n')[0]?.slice(0, 200) || `ip failed (${String(error.code)})`;
}

function failed(problem: string, cause?: unknown): BerthError {
  return new BerthError('binding.failed', problem, { cause });
}

type Fields = Readonly<Record<string, unknown>>;

/** `vfinfo_list` of `ip -j -d link show`; what is not there, or has another form, is not known. */
function vfsIn(text: string): ReadonlyMap<number, Partial<VfSettings>> {
  const [link] = parsed(text);
  const list = link?.['vfinfo_list'];
  const vfs = (Array.isArray(list) ? list : []).filter(isFields);
  return new Map(vfs.flatMap((vf) => (typeof vf['vf'] === 'number' ? [[vf['vf'], settingsIn(vf)] as const] : [])));
}

function settingsIn(vf: Fields): Partial<VfSettings> {
  const mac = vf['address'] ?? vf['mac'];
  const rate = isFields(vf['rate']) ? vf['rate'] : {};
  const link = LINK_STATES.find((state) => state === vf['link_state']);
  return {
    ...(typeof mac === 'string' && { mac: mac.toLowerCase() }),
    ...vlanIn(vf),
    ...flagIn(vf['spoofchk'], 'spoofCheck'),
    ...flagIn(vf['trust'], 'trust'),
    ...(link && { linkState: link }),
    ...(typeof rate['min_tx'] === 'number' && { minTxRate: rate['min_tx'] }),
    ...(typeof rate['max_tx'] === 'number' && { maxTxRate: rate['max_tx'] }),
  };
}

/** Without a VLAN there is no list. */
function vlanIn(vf: Fields): Partial<VfSettings> {
  const list = vf['vlan_list'];
  const first: unknown = Array.isArray(list) ? list[0] : { vlan: 0 };
  if (!isFields(first) || typeof first['vlan'] !== 'number') return {};
  return { vlan: first['vlan'], qos: typeof first['qos'] === 'number' ? first['qos'] : 0 };
}

function flagIn(value: unknown, field: 'spoofCheck' | 'trust'): Partial<VfSettings> {
  if (value === true || value === 'on') return { [field]: true };
  return value === false || value === 'off' ? { [field]: false } : {};
}

function hasAddress(text: string): boolean {
  const [link] = parsed(text);
  const list = link?.['addr_info'];
  return (Array.isArray(list) ? list : []).some((entry) => isFields(entry) && entry['scope'] !== 'link');
}

/** What `ip -j` prints: a list of objects; anything else is an empty one. */
export function parsed(text: string): Fields[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isFields) : [];
  } catch {
    return [];
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
