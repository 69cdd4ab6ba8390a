import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeDeath, endChild, spawnTied } from '../support/processes.js';
import { Control, type ExecResult } from './control.js';
import { GuestAgent, type AgentPlan } from './guest-agent.js';
import { makeImage, type GuestImage } from './guest-image.js';
import { fetchKernel, type GuestKernel } from './guest-kernel.js';
import { findPrograms, type Programs } from './programs.js';
import { Qmp } from './qmp.js';
import { SERVICE_MAC, type Topology } from './topology.js';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/berth/kernel', import.meta.url));
const BOOT_MS_MAX = 300_000;
const MEMORY_MIB = 1024;
const CONSOLE_LINES = 40;
const LOG_LINES = 80;

/** For the kernel: the IOMMU for everything but the host's own DMA, and nothing that only costs time under emulation. */
const KERNEL_ARGUMENTS = [
  'console=ttyS0 intel_iommu=on iommu=pt panic=-1 loglevel=4',
  'no_timer_check tsc=reliable random.trust_cpu=on nowatchdog rcupdate.rcu_cpu_stall_suppress=1',
  'nokaslr mitigations=off audit=0 lsm=capability cryptomgr.notests',
  'initcall_blacklist=tracer_init_tracefs,init_kprobe_trace',
].join(' ');

/** A running machine with a real kernel. Everything below its root is the kernel's own, or Berth's. */
export interface Machine {
  readonly topology: Topology;
  /** How long it took until it took orders. */
  readonly bootMs: number;
  /** Runs a shell script in it; throws when that fails. @returns what it printed, without the last line feed */
  exec(script: string, timeoutMs?: number): Promise<string>;
  /** The same, and failing is an answer. */
  tryExec(script: string, timeoutMs?: number): Promise<ExecResult>;
  /** A file of the guest, without the last line feed. */
  read(file: string): Promise<string>;
  write(file: string, text: string): Promise<void>;
  /** A command of QEMU: `device_add`, `device_del`. @throws Error when it refuses */
  qmp(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Starts the built agent in it; resolves when it says that it is started. */
  startAgent(plan: AgentPlan): Promise<GuestAgent>;
  /** Cuts its power. */
  stop(): Promise<void>;
  /** The last lines of its console, for people. */
  tail(): string;
}

interface Parts {
  readonly programs: Programs;
  readonly kernel: GuestKernel;
  readonly image: GuestImage;
}

/** One for machines that start guests, one for the others. */
const parts = new Map<boolean, Promise<Parts>>();

/**
 * Starts a machine; the first call of a process finds or makes what it takes.
 *
 * @throws Error with the end of its console when it does not take orders in time
 */
export async function bootMachine(topology: Topology): Promise<Machine> {
  const { startsGuests = false } = topology;
  const making = parts.get(startsGuests) ?? makeParts(startsGuests);
  parts.set(startsGuests, making);
  const made = await making;
  const folder = mkdtempSync(path.join(tmpdir(), 'berth-machine-'));
  const forget = beforeDeath(() => rmSync(folder, { recursive: true, force: true }));
  const control = await Control.listen(folder);
  const qmp = await Qmp.listen(path.join(folder, 'qmp'));
  const startedAt = Date.now();
  const child = spawnTied(['nice', '-n', '10', ...qemuCommand(made, topology, folder, control.files)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  let complaints = '';
  child.stderr?.on('data', (text: Buffer) => (complaints += text.toString()));
  const tail = (): string => `${complaints}--- console of ${topology.name}\n${consoleOf(folder)}`;
  const stop = async (): Promise<void> => {
    await endChild(child, 'SIGTERM');
    control.close();
    qmp.close();
    rmSync(folder, { recursive: true, force: true });
    forget();
  };
  try {
    await Promise.race([whenReady(control, qmp), whenEnded(child)]);
  } catch (error) {
    const seen = tail();
    await stop();
    throw new Error(`${topology.name} did not start: ${String(error)}\n${seen}`, { cause: error });
  }
  return machineOf({ topology, bootMs: Date.now() - startedAt, control, qmp, stop, tail });
}

async function makeParts(startsGuests: boolean): Promise<Parts> {
  mkdirSync(CACHE, { recursive: true });
  const programs = await findPrograms();
  const kernel = await fetchKernel(CACHE, programs);
  return { programs, kernel, image: await makeImage(CACHE, programs, kernel, startsGuests) };
}

function qemuCommand(
  { programs, kernel, image }: Parts,
  topology: Topology,
  folder: string,
  controls: readonly string[],
): string[] {
  const memory = topology.memoryMib ?? MEMORY_MIB;
  const node = (id: number): string[] => [
    ...['-object', `memory-backend-ram,id=memory${id},size=${memory / 2}M`],
    ...['-numa', `node,nodeid=${id},cpus=${id},memdev=memory${id}`],
  ];
  const guest = `berth.modules=${topology.modules} berth.mac=${SERVICE_MAC}`;
  return [
    programs['qemu-system-x86_64'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-machine', 'q35,smbus=off,sata=off,usb=off', '-accel', 'tcg,thread=multi', '-cpu', 'Nehalem'],
    ...['-smp', '2,sockets=2', '-m', `${memory}M`, ...node(0), ...node(1)],
    ...['-kernel', kernel.image, '-initrd', image.initramfs],
    ...['-append', [KERNEL_ARGUMENTS, topology.kernelArguments ?? '', guest].join(' ')],
    ...['-serial', `file:${path.join(folder, 'console')}`],
    ...['-chardev', `socket,id=qmp,path=${path.join(folder, 'qmp')}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-drive', `if=none,id=root,file=${image.disk},format=raw,snapshot=on`],
    ...['-device', 'virtio-serial-pci,id=control,bus=pcie.0,addr=0x1'],
    ...controls.flatMap((file, index) => [
      ...['-chardev', `socket,id=control${index},path=${file}`],
      ...['-device', `virtserialport,bus=control.0,chardev=control${index},name=control.${index}`],
    ]),
    ...topology.arguments,
  ];
}

async function whenReady(control: Control, qmp: Qmp): Promise<void> {
  await Promise.all([qmp.connected(), control.exec('true', BOOT_MS_MAX)]);
}

function whenEnded(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`QEMU ended with ${code ?? signal}`)));
  });
}

function machineOf(
  of: Pick<Machine, 'topology' | 'bootMs' | 'stop' | 'tail'> & { control: Control; qmp: Qmp },
): Machine {
  const { topology, bootMs, control, qmp, stop, tail } = of;
  const exec = async (script: string, timeoutMs?: number): Promise<string> => {
    const { exitCode, output } = await control.exec(script, timeoutMs);
    if (exitCode !== 0) throw new Error(`in the guest, ${script} ended with ${exitCode}: ${output}`);
    return output.replace(/\n$/, '');
  };
  const machine: Machine = {
    ...{ topology, bootMs, exec, stop, tail },
    tryExec: (script, timeoutMs) => control.exec(script, timeoutMs),
    read: (file) => exec(`cat ${quoted(file)}`),
    write: async (file, text) => {
      await exec(
        `mkdir -p ${quoted(path.dirname(file))}\ncat >${quoted(file)} <<'end of the file'\n${text}\nend of the file`,
      );
    },
    qmp: (command, args) => qmp.command(command, args),
    startAgent: (plan) => GuestAgent.start(machine, plan),
  };
  return machine;
}

/** One word for the guest's shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function consoleOf(folder: string): string {
  try {
    return lastLines(readFileSync(path.join(folder, 'console'), 'utf8'), CONSOLE_LINES);
  } catch {
    return 'nothing';
  }
}

/** The end of a text, for people. */
export function lastLines(text: string, lines = LOG_LINES): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}
