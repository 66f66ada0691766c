/** A mistake in a file that operators edit, with the place where they find it. */
export interface Problem {
  file: string;
  /** From 1; 1 when the file as a whole is meant. */
  line: number;
  /** From 1, in UTF-16 units, as editors count. */
  column: number;
  /** Where in the file's structure: `a.b[0].c`; empty for the file as a whole. */
  key: string;
  message: string;
  /** What the file says there. Never a secret: such a value is given by its type only. */
  found?: string;
  allowed?: string;
  /** Only errors stand in the way of using the file. */
  severity: 'error' | 'warning';
}

/** `file:line:column: error: key: message (found …; allowed …)`, the form that editors and CI make links of. */
export function formatProblem(p: Problem): string {
  const key = p.key === '' ? '' : `${p.key}: `;
  const facts = [
    p.found === undefined ? [] : [`found ${p.found}`],
    p.allowed === undefined ? [] : [`allowed: ${p.allowed}`],
  ].flat();
  const tail = facts.length === 0 ? '' : ` (${facts.join('; ')})`;
  return `${p.file}:${p.line}:${p.column}: ${p.severity}: ${key}${p.message}${tail}`;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((p) => p.severity === 'error');
}

/** In the order of the file, so that a list reads from top to bottom. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}
