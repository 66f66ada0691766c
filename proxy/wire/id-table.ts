/** Slots at first, and at most; powers of two. */
const FEW = 4;
const MANY = 4096;

/** In the place of an id; no request has it. */
const FREE = -1;

/**
 * What waits for an answer, by the id of its request. Ids are counted upwards nearly everywhere, so the ones under
 * way lie close together: each has its slot by its last bits, without the hashing and the garbage of a map. What
 * finds its slot taken, by a call that has waited for very long, and ids that are no numbers go into a map.
 */
export class IdTable<T extends object> {
  size = 0;
  private ids: number[] = NO_IDS;
  private waiting: (T | undefined)[] = NOBODY;
  private rest: Map<number | string, T> | undefined;

  /** @param kept with more slots than these it lets go of them when it is empty */
  constructor(private readonly kept = MANY) {}

  /** @param id a whole number from 0 on, or a text */
  get(id: number | string): T | undefined {
    if (typeof id === 'number') {
      const slot = id & (this.ids.length - 1);
      if (this.ids[slot] === id) return this.waiting[slot] as T;
    }
    return this.rest?.get(id);
  }

  /** @param id nobody waits under it */
  add(id: number | string, one: T): void {
    if (this.ids.length === 0) this.grow(FEW);
    this.size++;
    if (typeof id === 'number') {
      let slot = id & (this.ids.length - 1);
      while (this.ids[slot] !== FREE && this.size * 2 > this.ids.length && this.ids.length < MANY) {
        this.grow(this.ids.length * 2);
        slot = id & (this.ids.length - 1);
      }
      if (this.ids[slot] === FREE) {
        this.ids[slot] = id;
        this.waiting[slot] = one;
        return;
      }
    }
    (this.rest ??= new Map()).set(id, one);
  }

  /** @returns what waited under the id */
  take(id: number | string): T | undefined {
    const slot = typeof id === 'number' ? id & (this.ids.length - 1) : -1;
    if (slot < 0 || this.ids[slot] !== id) return this.takeRest(id);
    const one = this.waiting[slot];
    this.ids[slot] = FREE;
    this.waiting[slot] = undefined;
    this.left();
    return one;
  }

  /** The id under which it waits. */
  idOf(one: T): number | string | undefined {
    const slot = this.waiting.indexOf(one);
    if (slot >= 0) return this.ids[slot];
    for (const [id, other] of this.rest ?? []) if (other === one) return id;
    return undefined;
  }

  /** All at this moment: numbers as they count, then texts as they came. */
  all(): T[] {
    const found: [number, T][] = [];
    this.ids.forEach((id, slot) => { if (id !== FREE) found.push([id, this.waiting[slot] as T]); });
    const texts: T[] = [];
    for (const [id, one] of this.rest ?? []) {
      if (typeof id === 'number') found.push([id, one]);
      else texts.push(one);
    }
    return [...found.sort(([a], [b]) => a - b).map(([, one]) => one), ...texts];
  }

  clear(): void {
    this.size = 0;
    this.ids = NO_IDS;
    this.waiting = NOBODY;
    this.rest = undefined;
  }

  private takeRest(id: number | string): T | undefined {
    const one = this.rest?.get(id);
    if (one === undefined) return undefined;
    this.rest!.delete(id);
    this.left();
    return one;
  }

  private left(): void {
    this.size--;
    if (this.size > 0) return;
    this.rest = undefined;
    if (this.ids.length > this.kept) this.clear();
  }

  private grow(slots: number): void {
    const { ids, waiting } = this;
    this.ids = new Array<number>(slots).fill(FREE);
    this.waiting = new Array<T | undefined>(slots).fill(undefined);
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] === FREE) continue;
      // With more of its bits an id shares its slot with no other that it did not share it with before.
      const slot = ids[i]! & (slots - 1);
      this.ids[slot] = ids[i]!;
      this.waiting[slot] = waiting[i];
    }
  }
}

const NO_IDS: number[] = [];
const NOBODY: never[] = [];
