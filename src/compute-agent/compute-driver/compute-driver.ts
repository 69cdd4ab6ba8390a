import type { WireBinding } from '../../messages/bodies.js';
import type { WireServer } from '../../messages/server-bodies.js';

/**
 * Who starts a server's guest once its devices are bound:
 *
 * - `attach-only`: somebody else, who takes the bindings from REST
 * - `qemu`: the agent, as a process of its own
 * - `libvirt`: the agent, by `virsh`
 */
export const COMPUTE_DRIVERS = ['attach-only', 'qemu', 'libvirt'] as const;
export type ComputeDriverName = (typeof COMPUTE_DRIVERS)[number];

/** A server of which this host runs the guest. */
export interface Guest {
  readonly serverId: string;
  /** The claim that the guest is there for: with it the guest ends. */
  readonly claimId: string;
  readonly server: WireServer;
  /** All that it has now, bound; in the order in which they came. */
  readonly devices: readonly WireBinding[];
  /** What the driver has noted of it, e.g. the process; on disk, as it was given to `note`. */
  readonly notes: GuestNotes;
}

/** Plain data, for JSON. */
export type GuestNotes = Readonly<Record<string, string | number | boolean | null>>;

/** `pause` keeps all of it in memory; `reset` is what the button on a machine does. */
export type GuestControl = 'pause' | 'resume' | 'reset';

/** Puts a driver's notes on disk, in the place of those before; resolves when a crash cannot lose them. */
export type NoteGuest = (notes: GuestNotes) => Promise<void>;

/** `gone`: there is no guest, whatever the reason, which `message` says as far as it is known. */
export type GuestState = { readonly state: 'running' } | { readonly state: 'gone'; readonly message: string };

/**
 * Runs guests. The caller ({@link Guests}) keeps what is to be kept, calls for one server one after the other, and calls again after a
 * crash: every method looks first what there is, and does only what is missing. Every one ends by itself; none waits for ever.
 */
export interface ComputeDriver {
  readonly name: ComputeDriverName;

  /**
   * Resolves when the guest runs with its devices; one that runs already stays as it is.
   *
   * @throws BindingError with step `guest_start`; the caller has `stop` called then, and the devices given back
   */
  start(guest: Guest, note: NoteGuest): Promise<void>;

  /**
   * Resolves when there is no guest any more: asked to end (but `at once`: one that may never have run), then ended. Not while it may still have a device open.
   *
   * @throws BindingError with step `guest_stop` when it cannot be ended; the devices stay bound, and the call comes again
   */
  stop(guest: Guest, how?: 'gently' | 'at once'): Promise<void>;

  /** Plugs devices into a running guest. @throws BindingError with step `guest_attach`; the caller has `detach` called then */
  attach(guest: Guest, added: readonly WireBinding[]): Promise<void>;

  /**
   * Takes devices from a running guest; resolves when it has let go of them. Those that it does not have are no failure.
   *
   * @throws BindingError with step `guest_detach` when it does not let go; the call comes again
   */
  detach(guest: Guest, removed: readonly WireBinding[]): Promise<void>;

  /** Holds a running guest, lets it go on, or resets it. @throws BindingError with step `guest_act` */
  control(guest: Guest, what: GuestControl): Promise<void>;

  /** Looks, and changes nothing; cheap enough for every few seconds. */
  state(guest: Guest): Promise<GuestState>;
}
