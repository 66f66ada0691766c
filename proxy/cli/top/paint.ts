/** Colours, by what they mean. */

const CODES = { strong: '1', dim: '2', head: '7', bad: '31', good: '32', warn: '33' } as const;
export type Meaning = keyof typeof CODES;

export type Paint = (meaning: Meaning | undefined, text: string) => string;

/** For a terminal that may have none, a file or a test. */
export const NO_PAINT: Paint = (_, text) => text;

export const PAINT: Paint = (meaning, text) => (meaning === undefined ? text : `\u001b[${CODES[meaning]}m${text}\u001b[0m`);
