/** What a CLI server sends on its own account, and to whom Skyport hands it. */

/**
 *   attachment  the client of the attachment (for session.event: of every attachment) it came for
 *   owner       every client of the session's owner
 *   telemetry   clients that asked for it at `connect`, and only about their own sessions
 *   provider    Skyport itself, as the server's session file system; never a client
 *   refuse      nobody: a request is answered with an error, a notification dropped
 */
export type Deliver = 'attachment' | 'owner' | 'telemetry' | 'provider' | 'refuse';

export interface ServerRequestSpec {
  readonly name: string;
  readonly kind: 'request' | 'notification';
  readonly deliver: Deliver;
}

function notification(name: string, deliver: Deliver): ServerRequestSpec {
  return { name, kind: 'notification', deliver };
}

function requests(deliver: Deliver, names: string): ServerRequestSpec[] {
  return names.split(/\s+/).map((name) => ({ name, kind: 'request', deliver }));
}

export const SERVER_REQUESTS: readonly ServerRequestSpec[] = [
  notification('session.event', 'attachment'),
  // The server sends it to every authenticated connection, whoever owns the session.
  notification('session.lifecycle', 'owner'),
  notification('gitHubTelemetry.event', 'telemetry'),
  // Not in the schema.
  ...requests('attachment', 'userInput.request exitPlanMode.request autoModeSwitch.request systemMessage.transform'),
  // Protocol version 2: answered by SDKs up to 0.3.x, not sent by 1.0.85.
  ...requests('attachment', 'permission.request tool.call'),
  ...requests('attachment', 'hooks.invoke providerToken.getToken skillProvider.list skillProvider.read tasks.cancel'),
  ...requests('attachment', 'factory.execute factory.abort canvas.open canvas.close canvas.action.invoke'),
  // `sessionId` is optional: without one it belongs to the attachment whose registrationId it names.
  ...requests('attachment', 'gitHubToken.getToken'),
  ...requests('provider', 'sessionFs.readFile sessionFs.writeFile sessionFs.appendFile sessionFs.exists sessionFs.stat'),
  ...requests('provider', 'sessionFs.mkdir sessionFs.readdir sessionFs.readdirWithTypes sessionFs.rm sessionFs.rename'),
  ...requests('provider', 'sessionFs.sqliteQuery sessionFs.sqliteTransaction sessionFs.sqliteExists'),
  ...requests('provider', 'llmInference.httpRequestStart llmInference.httpRequestChunk'),
  // Names no session: there is no telling whose it is.
  ...requests('refuse', 'extensionLaunchProvider.resolve'),
];
