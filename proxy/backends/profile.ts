/**
 * What a client tells a CLI server about itself at `connect`, apart from its token. The server
 * keeps it per connection, so clients share a link only when they told the same.
 */
import { refuse, type Refusal } from '../protocol/errors.js';

export interface Profile {
  /** Equal for equal handshakes. */
  readonly key: string;
  /** Goes into the `connect` of the links that serve it. */
  readonly params: {
    readonly supportedTaskKinds?: readonly string[];
    readonly clientInfo?: object;
    readonly enableGitHubTelemetryForwarding?: true;
  };
  readonly telemetry: boolean;
}

/** A profile is kept for as long as links serve it; nobody needs more than this many bytes. */
const MAX_KEY = 2_048;

/** The profile of a client that said nothing: legacy SDKs, raw clients, Skyport's own calls. */
export const PLAIN: Profile = { key: '', params: {}, telemetry: false };

/** @param params of the client's `connect`; the token is not looked at */
export function profileOf(params: Record<string, unknown>): Profile | Refusal {
  const kinds = params['supportedTaskKinds'];
  const clientInfo = params['clientInfo'];
  if (kinds !== undefined && !(Array.isArray(kinds) && kinds.every((kind) => typeof kind === 'string'))) {
    return refuse('SKYPORT_INVALID_PARAMS', 'connect: supportedTaskKinds must be a list of strings');
  }
  if (clientInfo !== undefined && (typeof clientInfo !== 'object' || clientInfo === null || Array.isArray(clientInfo))) {
    return refuse('SKYPORT_INVALID_PARAMS', 'connect: clientInfo must be an object');
  }
  const telemetry = params['enableGitHubTelemetryForwarding'] === true;
  const told = {
    supportedTaskKinds: kinds === undefined ? undefined : [...new Set(kinds as string[])].sort(),
    clientInfo: clientInfo === undefined ? undefined : sorted(clientInfo),
    enableGitHubTelemetryForwarding: telemetry ? (true as const) : undefined,
  };
  const key = JSON.stringify(told);
  if (key === '{}') return PLAIN;
  if (key.length > MAX_KEY) return refuse('SKYPORT_INVALID_PARAMS', `connect: more than ${MAX_KEY} bytes of client info`);
  return { key, params: told, telemetry };
}

function sorted(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
