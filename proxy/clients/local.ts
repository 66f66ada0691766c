/** Calls that Skyport answers by itself; the answers are the runtime's, headless (measured, 1.0.85). */
import { refuse, type Refusal } from '../protocol/errors.js';
import type { Ask } from './ask.js';

/** What a client is told while no backend has ever been up: what this Skyport was built for. */
const PROTOCOL_VERSION = 3;

export function answerLocally(ask: Ask): Refusal | undefined {
  const { pool } = ask.client.services;
  const backend = pool.anyUp(ask.client.user) ?? pool.anyUp() ?? pool.all()[0];
  const protocolVersion = backend?.protocolVersion ?? PROTOCOL_VERSION;
  const params = ask.params();
  switch (ask.spec.name) {
    case 'ping': {
      const { message } = params;
      const text = typeof message === 'string' ? `pong: ${message}` : 'pong';
      ask.result({ message: text, timestamp: new Date().toISOString(), protocolVersion });
      return undefined;
    }
    case 'status.get':
      if (!backend?.version) return refuse('SKYPORT_NO_BACKEND');
      ask.result({ version: backend.version, protocolVersion });
      return undefined;
    case 'session.getForeground':
      ask.result({});
      return undefined;
    case 'session.setForeground':
      ask.result({
        success: false,
        error: `Not running in TUI+server mode - cannot set foreground session ${String(params['sessionId'])}`,
      });
      return undefined;
    default:
      return refuse('SKYPORT_METHOD_REFUSED', `${ask.spec.name} is not answered here`);
  }
}
