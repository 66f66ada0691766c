/**
 * Memory for large frames that come from servers. A buffer of megabytes that is made anew for each of them has V8
 * mark its whole heap and the kernel clear every page; these are used again.
 *
 *   leased ──▶ filled by a decoder ──▶ one transport takes the frame ──▶ the kernel has all of it ──▶ idle ──▶ leased
 *                 │                        └── a second one does, or somebody keeps the bytes: never used again
 *                 └── nobody takes it, an error, a lost connection: never used again
 *
 * What is never used again is left to the garbage collector, as any other buffer: a slab may be forgotten,
 * but not given back while somebody may still read it.
 */

/** Frames below this many bytes have buffers of their own. */
export const LARGE = 128 * 1024;

export interface SlabBounds {
  /** Bytes that idle slabs take together. */
  readonly idle: number;
  /** Sweeps that an idle slab outlives. */
  readonly sweeps: number;
}

const BOUNDS: SlabBounds = { idle: 64 * 1_048_576, sweeps: 10 };

interface Idle {
  readonly slab: Buffer;
  /** Sweeps since it was given back. */
  age: number;
}

/** A slab in use. */
export class Lease {
  private takers = 0;
  private over = false;

  constructor(
    readonly slab: Buffer,
    private readonly slabs: Slabs,
  ) {}

  /** Somebody holds the bytes for as long as they like. */
  keep(): void {
    this.over = true;
  }

  /** A transport has the frame to send, and calls `left` when it is certain that it does not hold the bytes any more. */
  take(): void {
    if (++this.takers > 1) this.over = true;
  }

  left(): void {
    if (this.over || this.takers !== 1) return;
    this.over = true;
    this.slabs.giveBack(this.slab);
  }
}

export class Slabs {
  /** Bytes of idle slabs. */
  idleBytes = 0;
  /** The one that was given back last at the end: its bytes are the likeliest to be in the processor's cache. */
  private idle: Idle[] = [];
  /** By the memory itself, so that whatever part of it somebody has, the lease is found. */
  private readonly leases = new WeakMap<ArrayBufferLike, Lease>();

  constructor(private readonly bounds: SlabBounds = BOUNDS) {}

  /** A slab of at least `size` bytes and less than twice as many; its contents are anything. */
  lease(size: number): Buffer {
    const slab = this.takeIdle(size) ?? Buffer.allocUnsafeSlow(roundUp(size));
    this.leases.set(slab.buffer, new Lease(slab, this));
    return slab;
  }

  /** The lease of the memory that a buffer lies in, if it is a slab in use. */
  leaseOf(bytes: Buffer): Lease | undefined {
    return bytes.length < LARGE ? undefined : this.leases.get(bytes.buffer);
  }

  /** From its lease: nobody reads it any more. */
  giveBack(slab: Buffer): void {
    this.leases.delete(slab.buffer);
    if (slab.length > this.bounds.idle) return;
    this.idle.push({ slab, age: 0 });
    this.idleBytes += slab.length;
    while (this.idleBytes > this.bounds.idle) this.idleBytes -= this.idle.shift()!.slab.length;
  }

  /** Janitor: lets slabs go that nobody has needed for a while. */
  sweep(): void {
    for (const one of this.idle) one.age++;
    this.idle = this.idle.filter(({ age }) => age <= this.bounds.sweeps);
    this.idleBytes = this.idle.reduce((sum, { slab }) => sum + slab.length, 0);
  }

  private takeIdle(size: number): Buffer | undefined {
    for (let at = this.idle.length - 1; at >= 0; at--) {
      const { slab } = this.idle[at]!;
      if (slab.length < size || slab.length >= size * 2) continue;
      this.idle.splice(at, 1);
      this.idleBytes -= slab.length;
      return slab;
    }
    return undefined;
  }
}

/** To four steps in each doubling: frames of nearly the same size find each other's slabs. */
function roundUp(size: number): number {
  const step = 2 ** Math.floor(Math.log2(size)) / 4;
  return Math.ceil(size / step) * step;
}

/** Of this process. */
export const slabs = new Slabs();

/** Call before bytes of a frame are held beyond the call that brought it, other than by a copy. */
export function keepBytes(buffer: Buffer): void {
  slabs.leaseOf(buffer)?.keep();
}
