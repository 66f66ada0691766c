/**
 * The candidate that somebody who wrote `word` most likely meant, or undefined when none is near:
 * `maxFrame` means `max_frame`, `polcy` means `policy`.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const plain = fold(word);
  let best: { candidate: string; steps: number } | undefined;
  for (const candidate of candidates) {
    const steps = distance(plain, fold(candidate));
    if (steps <= Math.max(1, Math.floor(candidate.length / 4)) && (best === undefined || steps < best.steps)) {
      best = { candidate, steps };
    }
  }
  return best?.candidate;
}

function fold(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '');
}

/** Levenshtein with swaps of neighbours as one step. */
function distance(a: string, b: string): number {
  let [before, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min((row[j - 1] as number) + 1, (previous[j] as number) + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j] as number, (before[j - 2] as number) + 1);
      }
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] as number;
}
