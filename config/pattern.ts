/**
 * Regular expressions that operators give and that are run on session ids. Clients choose those, so a
 * pattern that could keep the process busy is refused when the file is read: with ids of at most 128
 * characters, a handful of repeats one after the other is fast, and repeats inside of repeats are not.
 */

export type PatternVerdict =
  | {
    pattern: RegExp;
    /** The names of its groups. */
    groups: readonly string[];
    /** It begins with ^, in all of its alternatives. */
    anchored: boolean;
  }
  | { trouble: string };

/**
 * The most work, in doublings: a repeat without a fixed number may try each of 128 places, `?` and `|`
 * two ways. Four repeats that all match the same text are C(128, 4) tries, a fraction of a second; five, seconds.
 */
const MOST_DOUBLINGS = 28;
const PER_REPEAT = 7;
const LONGEST = 256;

/** Judges a pattern by its text. */
export function idPattern(text: string): PatternVerdict {
  if (text.length > LONGEST) return { trouble: `is longer than ${LONGEST} characters` };
  let pattern: RegExp;
  try {
    pattern = new RegExp(text);
  } catch {
    return { trouble: 'is not a regular expression' };
  }
  const shape = shapeOf(text);
  if (shape.backReferences) return { trouble: 'refers back to a group, which can take very long' };
  if (shape.nested) return { trouble: 'repeats a group that has repeats, ? or | in it, which can take very long' };
  // Without ^ the search starts anew at each character, which is one more repeat.
  const anchored = text.startsWith('^') && !shape.topLevelChoice;
  const doublings = PER_REPEAT * (shape.repeats + (anchored ? 0 : 1)) + shape.choices;
  if (doublings > MOST_DOUBLINGS) {
    return { trouble: 'can take very long: allowed are four repeats (* + {n,m}), three without ^ at the beginning, and less with many ? and |' };
  }
  return { pattern, groups: shape.groups, anchored };
}

interface Shape {
  groups: string[];
  repeats: number;
  choices: number;
  /** A repeated group has a repeat or choice in it. */
  nested: boolean;
  topLevelChoice: boolean;
  backReferences: boolean;
}

/** Reads a pattern that is known to compile. */
function shapeOf(text: string): Shape {
  const shape: Shape = { groups: [], repeats: 0, choices: 0, nested: false, topLevelChoice: false, backReferences: false };
  // For each open group, whether something in it varies; the last is the innermost.
  const varies = [false];
  let closed: boolean | undefined;
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at += match[0].length;
    return match;
  };
  const vary = () => { varies[varies.length - 1] = true; };
  while (at < text.length) {
    const inner = closed;
    closed = undefined;
    let match: RegExpExecArray | null;
    if ((match = take(/\\(?:k<|[1-9])/y)) !== null) shape.backReferences = true;
    else if (take(/\\[\s\S]/y) !== null || take(/\[(?:\\[\s\S]|[^\]\\])*\]/y) !== null) continue;
    else if ((match = take(/\((?:\?(?:<([A-Za-z_$][\w$]*)>|<?[=!]|:))?/y)) !== null) {
      if (match[1] !== undefined) shape.groups.push(match[1]);
      varies.push(false);
    } else if (take(/\)/y) !== null) {
      closed = varies.pop() ?? false;
      if (closed) vary();
    } else if (take(/\|/y) !== null) {
      shape.choices++;
      shape.topLevelChoice ||= varies.length === 1;
      vary();
    } else if (take(/\?\??/y) !== null) {
      shape.choices++;
      vary();
    } else if ((match = take(/(?:[*+]|\{(\d+)(,?)(\d*)\})\??/y)) !== null) {
      shape.nested ||= inner === true && match[0] !== '{1}';
      const fixed = match[1] !== undefined && (match[2] === '' || match[1] === match[3]);
      if (fixed) continue;
      shape.repeats++;
      vary();
    } else at++;
  }
  return shape;
}
