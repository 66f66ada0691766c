/**
 * Makes docs/security-rules.md from the rules, the parameter checks and the catalogue. To renew it:
 *
 *   npm run build && node dist/proxy/guard/document.js
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { METHODS, type MethodSpec, type RuleName } from '../protocol/catalogue.js';
import { leastAccess } from '../protocol/classification/sharing.js';
import { SERVER_REQUESTS } from '../protocol/server-requests.js';
import { CHECKED_METHODS, checksOf } from './parameters.js';
import { RULES, type Rule } from './rules.js';

const INTRO = `# Security rules

Made from \`proxy/guard/rules.ts\` and the method catalogue; do not edit.

Every method and every parameter passes two gates. **Ownership** comes with every profile and cannot be
opened: a session that is not the caller's does not exist for the caller. **Rules** refuse what would
endanger the server, its host or other users, and \`guard.profile\` says which of them are in force:

- \`tenant\`: users who know nothing of each other share the servers. Every rule is in force, and what the
  catalogue does not know is refused.
- \`trusted\`: one team. Only what would reach other users' sessions is refused.

A rule is opened for a role (of \`tokens.yaml\`; \`*\` is everybody) in the configuration:

\`\`\`yaml
guard:
  profile: tenant
  open:
    admin: [host_discovery, debug_logs]
    "*": [config_discovery]
\`\`\`

For a user with a CLI server of his own (\`fleet.isolation: per_user\`) some rules do not hold, under either profile: what
they refuse is dangerous only where others use the same server. The column *own server* says which: \`opens\` for each such
user, \`with a uid\` only where the server runs as a uid of its own (\`fleet.uids\`, \`fleet.users.<name>.uid\`), \`–\` never.
That goes for the owner of a session alone: not for a writer with whom it is shared, and not for a service principal.

A refused method answers \`SKYPORT_METHOD_REFUSED\`, a refused parameter \`SKYPORT_PARAMETER_REFUSED\`; both name
the rule, neither repeats a value.

## What the rules cannot do

- The built-in tools of a session (\`bash\`, \`view\`, \`edit\`…) run as the server's user. Whoever may answer
  permission prompts, and with a \`provider\` of their own even choose what the model says, can run commands
  on the host through them. Where users do not trust each other, give each a server of their own, with a uid of its own
  (\`fleet.isolation: per_user\`, \`fleet.uids\`: [security.md](security.md#a-server-for-each-user)).
- Directories are compared by their text. A symbolic link that a session's tool has made is followed.
- A \`provider\` and remote MCP servers are addresses that the *server* connects to. Limit its network where
  that matters.
`;

/** The text of docs/security-rules.md. */
export function documentRules(): string {
  const rules = Object.values(RULES);
  return [INTRO, rulesTable(rules), rules.map(ruleText).join('\n'), methodsTable(), requestsTable()].join('\n');
}

function rulesTable(rules: readonly Rule[]): string {
  const rows = rules.map((rule) =>
    `| [\`${rule.name}\`](#${rule.name}) | ${rule.title} | ${rule.protects} | ${mark(rule.profiles.tenant)} | ${mark(rule.profiles.trusted)} | ${OWN[rule.own.effect]} | ${rule.openable ? `\`open: { ROLE: [${rule.name}] }\`` : 'never'} |`,
  );
  return ['## Rules', '', '| rule | refuses | protects | tenant | trusted | own server | to open, under `guard` |', '|---|---|---|---|---|---|---|', ...rows, ''].join('\n');
}

const OWN_TEXT = { opens: 'does not hold', confined: 'does not hold if that has a uid of its own', holds: 'holds as well' } as const;
const OWN = { opens: 'opens', confined: 'with a uid', holds: '–' } as const;

function mark(refused: boolean): string {
  return refused ? 'refused' : '–';
}

function ruleText(rule: Rule): string {
  const methods = METHODS.filter((spec) => spec.rules.includes(rule.name)).map((spec) => `\`${spec.name}\``);
  const parameters = CHECKED_METHODS.flatMap((method) =>
    Object.entries(checksOf(method) ?? {}).filter(([, check]) => check.rules.includes(rule.name)).map(([name]) => `\`${method}\` ${name}`),
  );
  return [
    `### ${rule.name}`, '', `${rule.title}. ${rule.why}`, '',
    `On a server of one's own it ${OWN_TEXT[rule.own.effect]}. ${rule.own.why}`, '',
    ...(methods.length > 0 ? [`Methods: ${methods.join(', ')}.`, ''] : []),
    ...(parameters.length > 0 ? [`Parameters: ${parameters.join(', ')}.`, ''] : []),
  ].join('\n');
}

function methodsTable(): string {
  const rows = METHODS.map((spec) => `| \`${spec.name}\` | ${spec.route} | ${verdict(spec, 'tenant')} | ${verdict(spec, 'trusted')} | ${spec.route === 'session' ? leastAccess(spec.name) : ''} | ${looked(spec.name)} |`);
  return [
    '## Methods', '',
    'Where a call goes: `session` to the server of the session, `any` to any server, `fanout` to all of the user\'s and merged,',
    '`local` and `handshake` are answered by Skyport. What is not in this table is answered "Unhandled method".', '',
    'On a session, `for` is the least that a caller must be: its owner, or somebody with whom it is shared as writer or reader.', '',
    '| method | route | tenant | trusted | for | parameters that rules look at |', '|---|---|---|---|---|---|', ...rows, '',
  ].join('\n');
}

function verdict(spec: MethodSpec, profile: 'tenant' | 'trusted'): string {
  const closed = spec.rules.filter((name: RuleName) => RULES[name].profiles[profile]);
  return closed.length === 0 ? 'allowed' : `refused: ${closed.join(', ')}`;
}

function looked(method: string): string {
  return Object.keys(checksOf(method) ?? {}).join(', ');
}

function requestsTable(): string {
  const rows = SERVER_REQUESTS.map((spec) => `| \`${spec.name}\` | ${spec.kind} | ${spec.deliver} |`);
  return ['## What servers send', '', '| method | kind | handed to |', '|---|---|---|', ...rows, ''].join('\n');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(join(process.cwd(), 'docs/security-rules.md'), documentRules());
}
