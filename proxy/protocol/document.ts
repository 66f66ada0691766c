/**
 * Makes docs/errors.md from the error catalogue. To renew it:
 *
 *   npm run build && node dist/proxy/protocol/document.js
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorReply, ERRORS, refuse, type ErrorName, type ErrorSpec, type Side } from './errors.js';

/** The text of docs/errors.md. */
export function documentErrors(): string {
  const all = Object.entries(ERRORS) as [ErrorName, ErrorSpec][];
  return [INTRO, table(all), ...SIDES.map(([side, title]) => section(title, all.filter(([, spec]) => spec.side === side)))].join('\n');
}

const EXAMPLE = JSON.stringify(JSON.parse(errorReply('7', refuse('SKYPORT_NO_BACKEND'))), null, 2);

const INTRO = `# Errors

Made from \`proxy/protocol/errors.ts\` by \`node dist/proxy/protocol/document.js\`; do not edit.

Every error that Skyport itself answers with has a name. The name is in the answer, in metrics
(\`skyport_requests_total{outcome}\`, \`skyport_refusals_total{reason}\`) and in the log, and it stays the same
over versions; messages may change.

\`\`\`json
${EXAMPLE}
\`\`\`

- \`data.name\` is what to look for in a program, together with \`data.retryable\`: true when the very same call
  may succeed later without any change by the caller.
- \`data.side\` tells who has to change something: the \`client\`, the operator of a \`backend\`, or of the \`proxy\`.
- \`data.rule\`, where the guard decided, names the rule: [security-rules.md](security-rules.md).
- **An error without \`data.name\` is the CLI server's own** and was passed on as it came.
- Codes that the CLI server has a number for are the CLI server's; all others are in -32050…-32099.
- No message holds a token, a key or a prompt.
- A turn that is lost with its CLI server has no request that could be answered any more: the client gets
  \`session.error\` with \`errorCode: "SKYPORT_BACKEND_LOST"\` and \`session.idle\` as events instead.
- A connection that Skyport ends is told why by a last message with \`"id": null\`.
`;

const SIDES: readonly (readonly [Side, string])[] = [
  ['client', 'For whoever writes the client'],
  ['backend', 'For whoever runs the CLI servers'],
  ['proxy', 'For whoever runs Skyport'],
];

function table(all: readonly (readonly [ErrorName, ErrorSpec])[]): string {
  const rows = all.map(([name, { code, side, retryable, message }]) =>
    `| [\`${name}\`](#${name.toLowerCase()}) | ${code} | ${side} | ${retryable ? 'yes' : 'no'} | ${message} |`);
  return ['## All of them', '', '| name | code | side | retryable | message, unless a more specific one is given |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}

function section(title: string, errors: readonly (readonly [ErrorName, ErrorSpec])[]): string {
  return [`## ${title}`, '', ...errors.map(([name, { meaning, remedy }]) => `### ${name}\n\n${meaning}\n\n**What to do:** ${remedy}\n`)].join('\n');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(join(process.cwd(), 'docs/errors.md'), documentErrors());
}
