/**
 * The Skyports that share a store. Each has a lease that it renews; one whose lease is over is gone, and
 * the others may take over its sessions.
 */
export interface Instance {
  /** Another one at each start. */
  readonly id: string;
  /** Where the others reach it, `host:port`; '' where there are none. */
  readonly address: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
}

/** Every method that returns a promise may reject with a StoreUnavailable. */
export interface Instances {
  readonly id: string;
  /** Makes this one known under its address. */
  join(address: string): Promise<void>;
  /** What instances show each other to prove that they belong together; the same for all, for ever. Never logged. */
  secret(): Promise<string>;
  /** Renews this one's lease. @returns false when it was over: the others may have taken its sessions over */
  renew(): Promise<boolean>;
  /** The living ones, this one too. */
  list(): Promise<Instance[]>;
  /** Whether another one's lease is over, as of now: what it had may be taken over. */
  gone(id: string): Promise<boolean>;
  /** Tells, at a tick, that another one is not there any more. One listener. */
  onGone(listener: (instance: Instance) => void): void;
  /** Tells, at a tick, that this one's own lease was over before it was renewed. One listener. */
  onLapsed(listener: () => void): void;
  /** Janitor, once a second or so: renews the lease and looks for the others. */
  tick(): Promise<void>;
  /** This one is going: the others may take over at once. */
  leave(): Promise<void>;
}
