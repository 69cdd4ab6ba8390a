import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { WireBinding } from '../../messages/bodies.js';
import type { GuestSettings, QemuSettings } from '../../settings/settings.js';
import { BindingError, type BindingStep } from '../binding-error.js';
import { PROGRAM_ENVIRONMENT } from '../kernel-programs.js';
import type { ComputeDriver, Guest, GuestControl, GuestState, NoteGuest } from './compute-driver.js';
import { assertSize, imageOf } from './guest-image.js';
import { accelOf } from './guest-accel.js';
import {
  endsWithin,
  findProcess,
  isAlive,
  notedProcess,
  notesOf,
  processOf,
  signal,
  type GuestProcess,
} from './guest-process.js';
import { plug, unplug } from './qemu-hotplug.js';
import { hasPorts, qemuCommand, type QemuFiles } from './qemu-command.js';
import { Qmp } from './qmp.js';

/** systemd's own way to say that it runs this machine (`sd_booted`). */
const SYSTEMD = '/run/systemd/system';
const POLL_MS = 100;
const QUIT_MS = 5_000;
/** The kernel takes a process's memory and devices apart before it is gone; a blocked one never is. */
const KILL_MS = 20_000;
/** As `sun_path` of unix(7), with its end. */
const SOCKET_PATH_MAX = 107;
const LOG_CHARACTERS = 600;
const QMP_WORDS: Readonly<Record<GuestControl, string>> = { pause: 'stop', resume: 'cont', reset: 'system_reset' };

export interface QemuDriverOptions {
  readonly stateDir: string;
  readonly procRoot: string;
  readonly settings: GuestSettings;
  readonly qemu: QemuSettings;
}

/**
 * Guests as processes of their own: they run on when the agent ends, and are found again by their number and start time, or by the
 * pid file in their command line. With systemd, each in a scope, so that the end of the agent's unit does not take them along.
 */
export class QemuDriver implements ComputeDriver {
  readonly name = 'qemu';

  constructor(private readonly options: QemuDriverOptions) {}

  async start(guest: Guest, note: NoteGuest): Promise<void> {
    const { settings } = this.options;
    const files = this.filesOf(guest);
    let process = this.find(guest);
    if (!process) {
      assertSize(guest, settings);
      const image = imageOf(guest, settings);
      const command = qemuCommand({ ...this.options, guest, image, files, accel: accelOf(settings) });
      process = await this.spawned(guest, command, files);
    }
    await note(notesOf(process));
    await this.answering(process, files);
  }

  async stop(guest: Guest, how: 'gently' | 'at once' = 'gently'): Promise<void> {
    const { procRoot, settings } = this.options;
    const files = this.filesOf(guest);
    const process = this.find(guest);
    if (process && !(await this.ended(process, files, how === 'gently' ? settings.stopTimeoutMs : 0))) {
      const why = 'it does not end, even killed: the kernel holds it; see the kernel log (dmesg)';
      throw failed('guest_stop', `process ${process.pid} of server ${guest.serverId}: ${why}`);
    }
    if (findProcess(procRoot, '-pidfile', files.pid)) throw failed('guest_stop', 'another process of the guest runs');
    await rm(files.directory, { recursive: true, force: true });
  }

  async attach(guest: Guest, added: readonly WireBinding[]): Promise<void> {
    const isPorted = hasPorts(this.options.settings.machine);
    await this.speaking(guest, 'guest_attach', async (qmp) => {
      for (const { address } of added) await plug(qmp, address, isPorted);
    });
  }

  async detach(guest: Guest, removed: readonly WireBinding[]): Promise<void> {
    if (!this.find(guest)) return;
    await this.speaking(guest, 'guest_detach', async (qmp) => {
      for (const { address } of removed) await unplug(qmp, address, this.options.settings.stopTimeoutMs);
    });
  }

  async control(guest: Guest, what: GuestControl): Promise<void> {
    await this.speaking(guest, 'guest_act', (qmp) => qmp.command(QMP_WORDS[what]).then(() => undefined));
  }

  async state(guest: Guest): Promise<GuestState> {
    if (this.find(guest)) return { state: 'running' };
    const said = lastWords(this.filesOf(guest).log);
    return { state: 'gone', message: `its process has ended${said === '' ? '' : `: ${said}`}` };
  }

  /** The guest's process, also when the agent ended before it could note it. */
  private find(guest: Guest): GuestProcess | null {
    const { procRoot } = this.options;
    const noted = notedProcess(guest.notes);
    if (noted) return isAlive(procRoot, noted) ? noted : null;
    return findProcess(procRoot, '-pidfile', this.filesOf(guest).pid);
  }

  private async spawned(guest: Guest, command: readonly string[], files: QemuFiles): Promise<GuestProcess> {
    if (Buffer.byteLength(files.qmp) > SOCKET_PATH_MAX) {
      throw failed('guest_start', `agent.state_dir is too long a path: ${files.qmp} cannot be a socket`);
    }
    await rm(files.directory, { recursive: true, force: true });
    await mkdir(files.directory, { recursive: true, mode: 0o700 });
    const [program = '', ...words] = existsSync(SYSTEMD) ? [...scopeOf(guest), ...command] : command;
    const log = openSync(files.log, 'a', 0o600);
    try {
      const child = spawn(program, words, {
        env: { ...PROGRAM_ENVIRONMENT, TMPDIR: files.directory },
        detached: true,
        stdio: ['ignore', log, log],
      });
      await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
      child.on('error', () => undefined).unref();
      const process = processOf(this.options.procRoot, child.pid as number);
      if (process) return process;
      throw new Error(lastWords(files.log) || 'it ended at once');
    } catch (error) {
      throw failed('guest_start', `${program} could not be started: ${messageOf(error)}`, error);
    } finally {
      closeSync(log);
    }
  }

  /** Until the guest runs, and says so. */
  private async answering(process: GuestProcess, files: QemuFiles): Promise<void> {
    const { procRoot, settings } = this.options;
    const deadline = Date.now() + settings.startTimeoutMs;
    let problem = 'there is no control socket';
    while (Date.now() < deadline) {
      if (!isAlive(procRoot, process)) throw failed('guest_start', `QEMU has ended: ${lastWords(files.log)}`);
      try {
        const status = (await Qmp.using(files.qmp, (qmp) => qmp.command('query-status'))) as { status?: string };
        if (status.status === 'running') return;
        problem = `the guest is "${status.status}"`;
      } catch (error) {
        problem = messageOf(error);
      }
      await delay(POLL_MS);
    }
    throw failed('guest_start', `QEMU did not start the guest in ${settings.startTimeoutMs} ms: ${problem}`);
  }

  /** Asked to shut down, then told to quit, then killed. */
  private async ended(process: GuestProcess, { qmp }: QemuFiles, patienceMs: number): Promise<boolean> {
    const { procRoot } = this.options;
    const isAsked = patienceMs > 0 && (await said(qmp, 'system_powerdown'));
    if (isAsked && (await endsWithin(procRoot, process, patienceMs))) return true;
    if ((await said(qmp, 'quit')) && (await endsWithin(procRoot, process, QUIT_MS))) return true;
    signal(procRoot, process, 'SIGKILL');
    return endsWithin(procRoot, process, KILL_MS);
  }

  private async speaking(guest: Guest, step: BindingStep, work: (qmp: Qmp) => Promise<void>): Promise<void> {
    try {
      await Qmp.using(this.filesOf(guest).qmp, work);
    } catch (error) {
      // Who has ended meanwhile has let go of everything.
      if (step === 'guest_detach' && !this.find(guest)) return;
      throw failed(step, messageOf(error), error);
    }
  }

  private filesOf({ serverId }: Guest): QemuFiles {
    const directory = join(this.options.stateDir, 'guests', serverId);
    const [qmp, pid, log] = ['qmp', 'pid', 'log'].map((name) => join(directory, name)) as [string, string, string];
    return { directory, qmp, pid, log };
  }
}

function scopeOf({ serverId }: Guest): string[] {
  const unit = [
    '--scope',
    '--quiet',
    '--collect',
    `--unit=berth-guest-${serverId}`,
    `--description=Berth server ${serverId}`,
  ];
  return ['systemd-run', ...unit, '--'];
}

/** @returns false when QEMU does not take it, or does not answer */
async function said(socket: string, command: 'system_powerdown' | 'quit'): Promise<boolean> {
  try {
    await Qmp.using(socket, (qmp) => qmp.command(command));
    return true;
  } catch {
    // QEMU may close the socket before it answers `quit`.
    return command === 'quit';
  }
}

/** The end of what it said, in one line. */
function lastWords(log: string): string {
  try {
    const lines = readFileSync(log, 'utf8').slice(-LOG_CHARACTERS).trim().split('\n');
    return lines.map((line) => line.trim()).join('; ');
  } catch {
    return '';
  }
}

function failed(step: BindingStep, problem: string, cause?: unknown): BindingError {
  return new BindingError('guest.failed', `The guest: ${problem}`, { address: null, step, cause });
}
