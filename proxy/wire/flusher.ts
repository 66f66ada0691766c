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

/** Something that is to be done when a moment has passed. */
export interface Deferred {
  due(): void;
}

let deferred: Deferred[] = [];
let idle: Deferred[] = [];

/** Has `due` called once, in about a millisecond: one timer for the whole process. */
export function later(one: Deferred): void {
  if (deferred.push(one) === 1) setTimeout(callDeferred, 1);
}

function callDeferred(): void {
  const now = deferred;
  deferred = idle;
  for (const one of now) one.due();
  now.length = 0;
  idle = now;
}
