/** MCP servers: remote ones may pass, those that start a command may not. */
import type { RuleName } from '../protocol/method.js';
import { invalid, isFields, isIdle, printable, refuseParameter, type Ask, type Check, type Verdict } from './check.js';

const RULES: readonly RuleName[] = ['mcp_commands', 'host_environment', 'uncatalogued'];

/** What a remote server's entry may hold (McpServerConfigHttp of the schema). */
const REMOTE = new Set(
  ('type url headers headersRefreshTtlMs tools excludeTools timeout displayName deferTools disableToolCache filterMapping '
    + 'oauthClientId oauthPublicClient oauthGrantType isDefaultServer safeForTelemetry events notifications').split(' '),
);

/** Fields that bring the server's own identity or secrets into play. */
const IDENTITY = ['oidc', 'auth', 'disableSecretMasking'];

/** `$NAME` and `${NAME}`: the runtime expands both from its own environment in url and headers. */
const EXPANSION = /\$(\{|[A-Za-z_])/;

/** Deeper than any entry is; also ends the walk through what a client nested. */
const MAX_DEPTH = 16;

function expands(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return EXPANSION.test(value);
  if (typeof value !== 'object' || value === null) return false;
  if (depth === MAX_DEPTH) return true;
  return Object.entries(value).some(([key, item]) => EXPANSION.test(key) || expands(item, depth + 1));
}

/** One entry. The runtime starts `command` also beside a `url` where no `type` says otherwise. */
export const mcpServer: Check = {
  rules: RULES,
  judge(entry, ask, path): Verdict {
    if (entry === undefined || entry === null) return undefined;
    if (!isFields(entry)) return invalid(ask, path, 'an object');
    const { type } = entry;
    const local = Object.hasOwn(entry, 'command') || type === 'local' || type === 'stdio';
    const remote = !local && typeof entry['url'] === 'string' && (type === undefined || type === 'http' || type === 'sse');
    if (!remote) {
      if (!ask.closed('mcp_commands')) return undefined;
      const reason = local ? 'starts a command' : 'is neither an http nor an sse server';
      return refuseParameter(ask, path, 'mcp_commands', reason);
    }
    return judgeRemote(entry, ask, path);
  },
};

function judgeRemote(entry: Record<string, unknown>, ask: Ask, path: string): Verdict {
  if (ask.closed('host_environment')) {
    const field = IDENTITY.find((name) => !isIdle(entry[name]));
    if (field !== undefined) return refuseParameter(ask, `${path}.${field}`, 'host_environment');
    if (expands(entry)) return refuseParameter(ask, path, 'host_environment', 'holds a $ that the server would expand');
  }
  if (ask.closed('uncatalogued')) {
    const field = Object.keys(entry).find((name) => !REMOTE.has(name) && !IDENTITY.includes(name));
    if (field !== undefined) return refuseParameter(ask, `${path}.${printable(field)}`, 'uncatalogued', 'is not known');
  }
  return undefined;
}

/** The map of entries by name. What was judged is what is sent. */
export const mcpServers: Check = {
  rules: RULES,
  judge(value, ask, path): Verdict {
    if (value === undefined || value === null) return undefined;
    if (!isFields(value)) return invalid(ask, path, 'an object');
    for (const [name, entry] of Object.entries(value)) {
      const verdict = mcpServer.judge(entry, ask, `${path}.${printable(name)}`);
      if (verdict !== undefined) return verdict;
    }
    return { value };
  },
};
