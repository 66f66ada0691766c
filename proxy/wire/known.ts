import { arena, arenaWords } from './arena.js';

/**
 * What belongs to certain texts, found by their bytes in the arena: neither is a string made nor looked up, nor are the
 * bytes read one by one. A slot has the text's words as they lie in memory, so whoever finds one has compared all of it:
 *
 *   | word | word | … | last word, which may overlap the one before | … | length |
 *
 * Texts are printable ASCII without quotes and backslashes, from 8 to 60 bytes; all others are never found.
 */
const STRIDE = 16;
const SHORTEST = 8;
const LONGEST = 60;
const PLAIN = /^[ !#-[\]-~]*$/;
const QUOTE = 0x22;
/** The slot's text was removed; those behind it are still to be found. */
const REMOVED = -1;
const FEWEST = 16;

/** Where the text that was found last ends: the offset of its closing quote. */
export let knownEnd = 0;

export class Known<T> {
  private slots: Int32Array = new Int32Array(0);
  private values: (T | undefined)[] = [];
  private mask = -1;
  /** Slots that have a text, or had one. */
  private used = 0;
  private count = 0;
  /** The length of the text that was found last: most are as long as the one before. */
  private usual = SHORTEST;

  get size(): number {
    return this.count;
  }

  set(text: string, value: T): void {
    if (text.length < SHORTEST || text.length > LONGEST || !PLAIN.test(text)) return;
    const words = wordsOf(text);
    const at = this.slotOf(words);
    if (at >= 0) {
      this.values[at] = value;
      return;
    }
    if ((this.used + 1) * 2 > this.values.length) this.grow();
    this.insert(words, value);
  }

  delete(text: string): void {
    if (text.length < SHORTEST || text.length > LONGEST || !PLAIN.test(text)) return;
    const at = this.slotOf(wordsOf(text));
    if (at < 0) return;
    this.slots[at * STRIDE + STRIDE - 1] = REMOVED;
    this.values[at] = undefined;
    if (--this.count === 0) this.clear();
  }

  clear(): void {
    this.slots = new Int32Array(0);
    this.values = [];
    this.mask = -1;
    this.used = this.count = 0;
  }

  /**
   * @param from offset in the arena of the first character after the opening quote of a JSON string
   * @param end of what may be read
   * @returns what belongs to the string; undefined when nothing does. `knownEnd` is set if something was found
   */
  find(from: number, end: number): T | undefined {
    if (this.mask < 0) return undefined;
    const { usual } = this;
    if (from + usual < end && arena[from + usual] === QUOTE) {
      const value = this.look(from, usual);
      if (value !== undefined) return value;
    }
    const most = Math.min(end, from + LONGEST + 1);
    let at = from;
    while (at < most && arena[at] !== QUOTE) at++;
    const length = at - from;
    if (at === most || length < SHORTEST || length === usual) return undefined;
    this.usual = length;
    return this.look(from, length);
  }

  private look(from: number, length: number): T | undefined {
    const { slots, mask } = this;
    const last = arenaWords.getInt32(from + length - 4, true);
    let slot = hash(arenaWords.getInt32(from, true), arenaWords.getInt32(from + ((length >> 3) << 2), true), arenaWords.getInt32(from + length - 8, true), last) & mask;
    for (;;) {
      const base = slot * STRIDE;
      const found = slots[base + STRIDE - 1]!;
      if (found === 0) return undefined;
      if (found === length) {
        const whole = length >> 2;
        let word = 0;
        while (word < whole && slots[base + word] === arenaWords.getInt32(from + word * 4, true)) word++;
        if (word === whole && (length === whole * 4 || slots[base + whole] === last)) {
          knownEnd = from + length;
          return this.values[slot];
        }
      }
      slot = (slot + 1) & mask;
    }
  }

  /** The slot of a text, or -1. */
  private slotOf(words: Int32Array): number {
    if (this.mask < 0) return -1;
    let slot = hashOf(words) & this.mask;
    for (;;) {
      const base = slot * STRIDE;
      if (this.slots[base + STRIDE - 1] === 0) return -1;
      let word = 0;
      while (word < STRIDE && this.slots[base + word] === words[word]) word++;
      if (word === STRIDE) return slot;
      slot = (slot + 1) & this.mask;
    }
  }

  private insert(words: Int32Array, value: T): void {
    let slot = hashOf(words) & this.mask;
    while (this.slots[slot * STRIDE + STRIDE - 1] !== 0) slot = (slot + 1) & this.mask;
    this.slots.set(words, slot * STRIDE);
    this.values[slot] = value;
    this.used++;
    this.count++;
  }

  /** Makes room for twice as many as there are; those that were removed are left out. */
  private grow(): void {
    const { slots, values } = this;
    let size = FEWEST;
    while (size < (this.count + 1) * 4) size *= 2;
    this.slots = new Int32Array(size * STRIDE);
    this.values = new Array<T | undefined>(size).fill(undefined);
    this.mask = size - 1;
    this.used = this.count = 0;
    for (let slot = 0; slot < values.length; slot++) {
      const base = slot * STRIDE;
      if (slots[base + STRIDE - 1]! > 0) this.insert(slots.subarray(base, base + STRIDE), values[slot]!);
    }
  }
}

/** A slot's content. */
function wordsOf(text: string): Int32Array {
  const bytes = Buffer.from(text, 'latin1');
  const words = new Int32Array(STRIDE);
  const whole = bytes.length >> 2;
  for (let i = 0; i < whole; i++) words[i] = bytes.readInt32LE(i * 4);
  if (bytes.length > whole * 4) words[whole] = bytes.readInt32LE(bytes.length - 4);
  words[STRIDE - 1] = bytes.length;
  return words;
}

function hashOf(words: Int32Array): number {
  const length = words[STRIDE - 1]!;
  const bytes = new DataView(new ArrayBuffer(STRIDE * 4));
  for (let i = 0; i < length >> 2; i++) bytes.setInt32(i * 4, words[i]!, true);
  if (length % 4 > 0) bytes.setInt32(length - 4, words[length >> 2]!, true);
  return hash(words[0]!, words[length >> 3]!, bytes.getInt32(length - 8, true), bytes.getInt32(length - 4, true));
}

/** Of a text's first word, one in its middle, and its last two: ids that people make often differ in one of them only. */
function hash(first: number, middle: number, last: number, end: number): number {
  let mixed = Math.imul(first, 0x9e3779b1) ^ Math.imul(middle, 0x27d4eb2f) ^ Math.imul(last, 0x85ebca6b) ^ Math.imul(end, 0xc2b2ae35);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}
