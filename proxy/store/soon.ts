/**
 * What is there at once, or will be. A promise costs more than most calls on a file do, so those who are asked for
 * files a thousand times a second do without where nothing has to be waited for.
 */
export type Soon<T> = T | Promise<T>;

/** Goes on with a value, at once if it is there. */
export function after<T, R>(given: Soon<T>, next: (value: T) => R): Soon<R> {
  return given instanceof Promise ? given.then(next) : next(given);
}

/** The promise of a call: what it throws at once is a rejection, too. */
export function promised<T>(call: () => Soon<T>): Promise<T> {
  try {
    return Promise.resolve(call());
  } catch (error) {
    return Promise.reject(error as Error);
  }
}
