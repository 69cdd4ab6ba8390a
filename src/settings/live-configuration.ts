import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, messageOf } from '../errors.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { emptyAmong, FilesAtRest, lookAt } from './files-at-rest.js';
import { differenceOf, withLiveParts, type Role, type SettingsDifference } from './live-settings.js';
import { loadSettings, type LoadedSettings, type SettingsSources } from './load-settings.js';
import type { Settings } from './settings.js';

/** How matters stand between the files and what the process goes by. */
export interface ConfigurationState {
  /** When what is in force was read. */
  readonly loadedAt: Date;
  /** Why the files as they are now are not in force; null when they are. */
  readonly problem: string | null;
  readonly problemSince: Date | null;
  /** Settings that the files have otherwise than the process, until it is started again. */
  readonly needsRestart: readonly string[];
}

/** Who asks for files to be read again. */
export type ReloadCause = 'file' | 'signal' | 'command' | 'rest';

/** What taking aliases over did, by name. */
export interface AliasChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** What another process's files have changed meanwhile, and these not yet. */
  readonly behind: readonly string[];
}

export type ReloadOutcome =
  | {
      readonly taken: true;
      /** null: this role does not keep aliases. */
      readonly aliases: AliasChanges | null;
      readonly state: ConfigurationState;
    }
  | {
      readonly taken: false;
      /** `settings.invalid`, or what kept a valid configuration from being taken over. */
      readonly error: unknown;
      readonly state: ConfigurationState;
    };

/** What a role does with a configuration that was read again. */
export interface ConfigurationUser {
  /** Takes live settings over where that can fail; when it throws, the old configuration stays in force. */
  readonly take?: (aliases: readonly AliasDefinition[]) => Promise<AliasChanges>;
  /** Goes by these settings from now on, and shows this state. Called after every reading, also of a bad file. */
  readonly follow?: (inForce: Settings, state: ConfigurationState) => Promise<void> | void;
}

export interface LiveConfigurationOptions {
  readonly role: Role;
  readonly sources: SettingsSources;
  /** Checks what the settings room cannot know. @returns warnings @throws BerthError `settings.invalid` */
  readonly check: (settings: Settings) => readonly string[];
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** How often files are looked at; 0 leaves the watching to `look`. */
  readonly lookIntervalMs?: number;
}

/** With {@link LOOKS_NEEDED}: what a writer may rest in the middle of a file without half of it being read. */
const LOOK_INTERVAL_MS = 500;
const LOOKS_NEEDED = 2;
/** After a configuration was fine and could not be taken over, for want of the database. */
const RETRY_AFTER_MS = 5_000;
/** Settings that say how whitelist and aliases are read. */
const READING_RULES: readonly string[] = ['compat'];
const STILL_TRIES = 20;
const STILL_PAUSE_MS = 50;

/**
 * The configuration of a running process: read at the start, read again when its files change or somebody asks, and taken
 * over only whole and valid. What cannot change in a running process stays as it was, and is named.
 */
export class LiveConfiguration {
  /** What the process goes by. */
  private inForce: Settings;
  private current: ConfigurationState;
  private readonly atRest: FilesAtRest;
  /** Files that were empty when they were last taken: an empty one that was not is the first half of a writing. */
  private empty: readonly string[];
  private user: ConfigurationUser = {};
  private open: () => void = () => undefined;
  /** Nothing is read again before there is somebody to take it over. */
  private queue: Promise<unknown> = new Promise<void>((resolve) => (this.open = resolve));
  private timer: NodeJS.Timeout | null = null;
  private retryAt = 0;
  private told = '';
  readonly warnings: readonly string[];

  /** @throws BerthError `settings.invalid` as `loadSettings` does: at the start there is nothing to fall back on */
  constructor(private readonly options: LiveConfigurationOptions) {
    const { files } = options.sources;
    this.atRest = new FilesAtRest(lookAt(files), LOOKS_NEEDED);
    this.empty = emptyAmong(files);
    const { settings, warnings } = this.read();
    this.inForce = settings;
    this.warnings = warnings;
    this.current = { loadedAt: new Date(), problem: null, problemSince: null, needsRestart: [] };
  }

  settings(): Settings {
    return this.inForce;
  }

  state(): ConfigurationState {
    return this.current;
  }

  /** From now on changes go to this user, and files are watched. */
  start(user: ConfigurationUser): void {
    this.user = user;
    this.open();
    const { lookIntervalMs = LOOK_INTERVAL_MS, sources } = this.options;
    if (sources.files.length === 0 || lookIntervalMs === 0) return;
    this.timer = setInterval(() => this.look(), lookIntervalMs);
    this.timer.unref();
  }

  /** Reads no more; resolves when a reading under way has ended. */
  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    this.open();
    await this.queue;
  }

  /** Looks at the files once, and reads them when they have changed and lie still. */
  look(): void {
    if (this.atRest.look(lookAt(this.options.sources.files))) void this.reload('file');
    else if (this.retryAt > 0 && Date.now() >= this.retryAt) void this.reload('file');
  }

  /** Reads the files now. Never fails: what is wrong is in the outcome, and what was in force stays. One at a time. */
  reload(cause: ReloadCause): Promise<ReloadOutcome> {
    const outcome = this.queue.then(() => this.reloadNow(cause));
    this.queue = outcome;
    return outcome;
  }

  private async reloadNow(cause: ReloadCause): Promise<ReloadOutcome> {
    this.retryAt = 0;
    try {
      const { settings, warnings } = await this.readStill();
      const difference = differenceOf(this.inForce, settings, this.options.role);
      assertReadAlike(difference);
      const aliases = (await this.user.take?.(settings.aliases)) ?? null;
      this.inForce = withLiveParts(this.inForce, settings);
      this.empty = emptyAmong(this.options.sources.files);
      this.current = { loadedAt: new Date(), problem: null, problemSince: null, needsRestart: difference.needsRestart };
      this.tellTaken(cause, difference, warnings);
      await this.follow();
      return { taken: true, aliases, state: this.current };
    } catch (error) {
      const { problem, problemSince } = this.current;
      const text = messageOf(error);
      this.current = { ...this.current, problem: text, problemSince: (problem && problemSince) || new Date() };
      if (!isInvalid(error)) this.retryAt = Date.now() + RETRY_AFTER_MS;
      this.tellRefused(cause, error);
      await this.follow();
      return { taken: false, error, state: this.current };
    }
  }

  private async follow(): Promise<void> {
    try {
      await this.user.follow?.(this.inForce, this.current);
    } catch (error) {
      this.options.log('error', 'Configuration not followed', { problem: messageOf(error) });
    }
  }

  /** Reads files that nobody wrote to meanwhile: several that belong together are read together. */
  private async readStill(): Promise<LoadedSettings> {
    const { files } = this.options.sources;
    for (let tries = 1; ; tries++) {
      const look = lookAt(files);
      const loaded = attempt(() => this.readAgain());
      if (look === lookAt(files)) {
        this.atRest.take(look);
        return loaded();
      }
      if (tries === STILL_TRIES) throw invalid('the files change all the time; they are read when they lie still');
      await delay(STILL_PAUSE_MS);
    }
  }

  private readAgain(): LoadedSettings {
    const emptied = emptyAmong(this.options.sources.files).filter((file) => !this.empty.includes(file));
    if (emptied.length === 0) return this.read();
    throw invalid(...emptied.map((file) => `${file}: is empty now; if that is meant, write a comment into it`));
  }

  private read(): LoadedSettings {
    const loaded = loadSettings(this.options.sources);
    return { ...loaded, warnings: [...loaded.warnings, ...this.options.check(loaded.settings)] };
  }

  private tellTaken(cause: ReloadCause, { live, needsRestart }: SettingsDifference, warnings: readonly string[]): void {
    this.told = '';
    const { log } = this.options;
    log('info', 'Configuration read again', {
      cause,
      changed: live,
      device_spec_entries: this.inForce.agent.deviceSpecs.length,
      aliases: this.inForce.aliases.length,
    });
    if (needsRestart.length > 0) log('warn', 'Changed settings need a restart', { settings: needsRestart });
    for (const warning of warnings) log('warn', 'Configuration warning', { warning });
  }

  /** The same problems are told once, however often files are read. */
  private tellRefused(cause: ReloadCause, error: unknown): void {
    const problem = messageOf(error);
    if (problem === this.told) return;
    this.told = problem;
    this.options.log('error', 'Configuration not taken over; the one read before stays in force', {
      cause,
      in_force_since: this.current.loadedAt.toISOString(),
      problems: problemsOf(error),
    });
  }
}

/** The problems one by one. */
export function problemsOf(error: unknown): readonly string[] {
  const listed = error instanceof BerthError ? error.details['problems'] : undefined;
  return Array.isArray(listed) ? (listed as string[]) : [messageOf(error)];
}

/** Whether the configuration itself is at fault. */
export function isInvalid(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'settings.invalid';
}

/** A whitelist read by other rules than those that the process was started with is not taken over. */
function assertReadAlike({ needsRestart }: SettingsDifference): void {
  const rules = needsRestart.filter((key) => READING_RULES.includes(key));
  if (rules.length > 0) throw invalid(...rules.map((key) => `${key}: a change needs a restart; nothing is taken over`));
}

function invalid(...problems: readonly string[]): BerthError {
  return new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
}

/** Does it now, and answers or throws later. */
function attempt<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
