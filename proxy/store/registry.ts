/**
 * The registry: what must be known of every session after a restart. Who owns it, where it lives,
 * how often that changed, when and how much it was used. Never a prompt, a token or a key.
 */
export interface SessionRecord {
  readonly id: string;
  readonly owner: string;
  /** Name of the backend the session is bound to. */
  readonly backend: string;
  /** Goes up each time the binding changes. */
  readonly epoch: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly usedAt: number;
  /** Turns begun; 0 means that a CLI server may have nothing of it on disk. */
  readonly turns: number;
  /** The instance of Skyport that serves the session; left out where there is only one. */
  readonly holder?: string;
  /** With whom its owner shares it; left out where that is nobody. */
  readonly shares?: Shares;
}

/** With whom a session is shared, and as what. By name, so look names up with `Object.hasOwn`. */
export interface Shares {
  readonly users: Readonly<Record<string, 'reader' | 'writer'>>;
  readonly roles: Readonly<Record<string, 'reader' | 'writer'>>;
}

export interface Registry {
  /** Every record, once, at start. */
  load(): SessionRecord[];
  /**
   * Resolves when the record outlives a crash of this process.
   * @throws when the store refuses the write; nothing was stored then
   */
  put(record: SessionRecord): Promise<void>;
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}
