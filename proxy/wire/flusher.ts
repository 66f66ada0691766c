/** Something that has bytes to send at the end of this turn of the event loop. */
export interface Flushable {
  flush(): void;
}

let dirty: Flushable[] = [];
let spare: Flushable[] = [];

/**
 * Has `flush` called once, after everything that is being read in this turn has been handled: one
 * list for the whole process and one `setImmediate` a turn, so that all frames that a turn produces
 * for one peer leave in one write. The caller sees to it that it is not listed twice.
 */
export function flushSoon(flushable: Flushable): void {
  if (dirty.push(flushable) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const listed = dirty;
  dirty = spare;
  for (const flushable of listed) flushable.flush();
  listed.length = 0;
  spare = listed;
}
