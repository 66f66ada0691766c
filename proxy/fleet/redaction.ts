/**
 * Blanks secrets out of what a server prints. Each one is replaced by its name in brackets, so that a
 * reader of the log sees what stood there: `[token]`, `[MODEL_KEY]`.
 */

/** Shorter values (`true`, `8080`) are in many lines by chance. Characters. */
const SHORTEST = 8;

/** Of a secret that is cut off with its line, so much of its beginning is enough to be blanked. */
const SHORTEST_PART = 4;

export class Redaction {
  /** Longest first: one may be a part of another. */
  readonly #secrets: readonly { readonly name: string; readonly text: string }[];

  /** @param secrets by name; of a value with several lines each line is one */
  constructor(secrets: Readonly<Record<string, string>>) {
    this.#secrets = Object.entries(secrets)
      .flatMap(([name, value]) => value.split(/\r?\n/).map((text) => ({ name, text })))
      .filter(({ text }) => text.length >= SHORTEST)
      .sort((a, b) => b.text.length - a.text.length);
  }

  /** @param line one line, with `…` at its end where it was cut */
  blank(line: string): string {
    let blanked = line;
    for (const { name, text } of this.#secrets) {
      if (blanked.includes(text)) blanked = blanked.replaceAll(text, () => `[${name}]`);
    }
    return blanked.endsWith('…') ? this.#withoutPart(blanked.slice(0, -1)) : blanked;
  }

  #withoutPart(cut: string): string {
    let longest = 0;
    let whose = '';
    for (const { name, text } of this.#secrets) {
      for (let length = Math.min(text.length - 1, cut.length); length >= Math.max(SHORTEST_PART, longest + 1); length--) {
        if (!cut.endsWith(text.slice(0, length))) continue;
        longest = length;
        whose = name;
      }
    }
    return longest === 0 ? `${cut}…` : `${cut.slice(0, -longest)}[${whose}]…`;
  }
}
