/** sessions.getClientMetadata: what clients have noted on sessions, without loading them (measured, 1.0.85). */
import type { SessionFiles } from '../store/session-files.js';
import { ENOENT, readText, statOf } from './reading.js';

const METADATA = '/client-metadata.json';

/** The format that the runtime writes. */
const VERSION = 1;

/** Longest key, in bytes (schema). */
const MAX_KEY = 256;

export type ClientMetadataEntry =
  | { readonly sessionId: string; readonly status: 'ok'; readonly metadata: Readonly<Record<string, string>> }
  | { readonly sessionId: string; readonly status: 'notFound' | 'corrupt' | 'unsupportedVersion' };

/** @param keys only these entries; all when undefined */
export async function clientMetadata(files: SessionFiles, sessionId: string, keys?: readonly string[]): Promise<ClientMetadataEntry> {
  if (await statOf(files, sessionId, '/') === ENOENT) return { sessionId, status: 'notFound' };
  const text = await readText(files, sessionId, METADATA);
  if (text === ENOENT) return { sessionId, status: 'ok', metadata: {} };
  const { version, metadata } = parsed(text);
  if (typeof version === 'number' && version !== VERSION) return { sessionId, status: 'unsupportedVersion' };
  if (version !== VERSION || !isBag(metadata)) return { sessionId, status: 'corrupt' };
  if (!keys) return { sessionId, status: 'ok', metadata };
  return { sessionId, status: 'ok', metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => keys.includes(key))) };
}

/** What is wrong with the keys, in the runtime's words; undefined when nothing is. */
export function keyFault(keys: unknown): string | undefined {
  if (keys === undefined || keys === null) return undefined;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) return 'keys must be a list of texts';
  if (keys.includes('')) return 'keys must not be empty';
  if (keys.some((key) => Buffer.byteLength(key) > MAX_KEY)) return `keys must not be longer than ${MAX_KEY} bytes`;
  const reserved = keys.find((key) => /^(copilot|github)\//.test(key));
  return reserved === undefined ? undefined : 'keys in the namespaces copilot/ and github/ are reserved';
}

function parsed(text: string): { readonly version?: unknown; readonly metadata?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function isBag(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    && Object.values(value).every((one) => typeof one === 'string');
}
