import { describe, expect, it } from 'vitest';
import { peek, type Peek } from '../../../proxy/wire/peek.js';

function look(text: string): Peek {
  // Something before and behind: offsets must count in the buffer, and nothing beyond the end be read.
  const buffer = Buffer.from(`"}]${text}"}]`);
  return { ...peek(buffer, 3, buffer.length - 3) };
}

function idOf(text: string): string | undefined {
  const buffer = Buffer.from(text);
  const { idStart, idEnd } = peek(buffer, 0, buffer.length);
  return idStart < 0 ? undefined : buffer.toString('utf8', idStart, idEnd);
}

const EVENT = '{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s-1","event":{"type":"assistant.message","data":{"sessionId":"other","type":"x"}}}}';

describe('an event', () => {
  it('as the runtime sends it is looked at up to its type', () => {
    expect(look(EVENT)).toEqual({
      kind: 'notification', method: 'session.event', sessionId: 's-1', eventType: 'assistant.message',
      idStart: -1, idEnd: -1, isError: false, scanned: EVENT.indexOf(',"data"'),
    });
  });

  const seen = { kind: 'notification', method: 'session.event', sessionId: 's-1', eventType: 'assistant.message' };
  it.each([
    ['with white space', EVENT.replace(/([{}:,])/g, ' $1\n\t')],
    ['with the event before the session', '{"jsonrpc":"2.0","method":"session.event","params":{"event":{"data":{"sessionId":"no","type":"no"},"type":"assistant.message"},"sessionId":"s-1"}}'],
    ['with params before the method', '{"params":{"event":{"data":[{"type":"no"}],"type":"assistant.message"},"sessionId":"s-1"},"method":"session.event","jsonrpc":"2.0"}'],
    ['with an escaped key', EVENT.replace('sessionId', 'session\\u0049d')],
    ['with an escaped key of the event', EVENT.replace('"type"', '"t\\u0079pe"')],
    ['with an escaped top-level key', EVENT.replace('"params"', '"p\\u0061rams"')],
    ['with an escaped session id', EVENT.replace('s-1', 's\\u002d1')],
    ['with an escaped type', EVENT.replace('assistant.', 'assistant\\u002e')],
    ['with an escaped method', EVENT.replace('session.event', 'session\\u002eevent')],
    ['with look-alikes in strings', '{"x":"\\"method\\":\\"no\\",{","method":"session.event","params":{"a":"\\\\","b":"\\"sessionId\\":\\"no\\"","sessionId":"s-1","event":{"data":"\\"type\\":\\"no\\"}}","type":"assistant.message"}}}'],
    ['with a non-ASCII key', '{"é":1,"method":"session.event","params":{"sessionId":"s-1","event":{"type":"assistant.message"}}}'],
  ])('%s means the same', (_name, text) => {
    expect(look(text)).toMatchObject(seen);
  });

  it('has its session and type in any script', () => {
    expect(look('{"method":"session.event","params":{"sessionId":"é\\n","event":{"type":"日本"}}}')).toMatchObject({
      sessionId: 'é\n', eventType: '日本',
    });
  });

  it.each([
    ['a number as session', '{"method":"session.event","params":{"sessionId":1,"event":{"type":"t"}}}', undefined, 't'],
    ['a number as type', '{"method":"session.event","params":{"sessionId":"s","event":{"type":1}}}', 's', undefined],
    ['an array as event', '{"method":"session.event","params":{"sessionId":"s","event":["type","t"]}}', 's', undefined],
    ['no event', '{"method":"session.event","params":{"sessionId":"s"}}', 's', undefined],
    ['an array as params', '{"method":"session.event","params":["sessionId","s"]}', undefined, undefined],
    ['no params', '{"method":"session.event"}', undefined, undefined],
  ])('with %s has no more than is there', (_name, text, sessionId, eventType) => {
    expect(look(text)).toMatchObject({ kind: 'notification', method: 'session.event', sessionId, eventType });
  });

  it('is not looked at beyond its id and method when it asks for a session\'s files', () => {
    const text = '{"jsonrpc":"2.0","id":7,"method":"sessionFs.appendFile","params":{"path":"/state/a","content":"{\\"a\\":1}","sessionId":"s-1"}}';
    expect(look(text)).toMatchObject({ kind: 'request', method: 'sessionFs.appendFile', sessionId: undefined, scanned: text.indexOf('{"path"') });
    expect(idOf(text)).toBe('7');
  });

  it('leaves nothing behind for the next message', () => {
    look(EVENT);
    expect(look('{"jsonrpc":"2.0","id":1,"result":{}}')).toMatchObject({ method: '', sessionId: undefined, eventType: undefined });
    look('{"jsonrpc":"2.0","id":1,"error":{}}');
    expect(look(EVENT)).toMatchObject({ isError: false, idStart: -1, idEnd: -1 });
  });

  it('is read whole when it is cut short', () => {
    expect(look(EVENT.slice(0, EVENT.indexOf('"type"') + 9)).kind).toBe('unknown');
  });
});

describe('a message', () => {
  it('of the lifecycle is looked at up to its session', () => {
    const text = '{"jsonrpc":"2.0","method":"session.lifecycle","params":{"type":"session.created","sessionId":"s1","metadata":{}}}';
    expect(look(text)).toMatchObject({ kind: 'notification', method: 'session.lifecycle', sessionId: 's1', eventType: undefined });
    expect(look(text).scanned).toBe(text.indexOf(',"metadata"'));
  });

  it('with a result is looked at up to the result', () => {
    const text = '{"jsonrpc":"2.0","id":51,"result":{"method":"no","error":1}}';
    expect(look(text)).toMatchObject({ kind: 'response', isError: false, method: '', scanned: text.indexOf('{"method"') });
    expect(idOf(text)).toBe('51');
  });

  it.each([
    '{"jsonrpc":"2.0","id":1000000000,"result":{}}', '{"jsonrpc":"2.0","id":7,"result":null}', '{"jsonrpc":"2.0","id":7,"error":{"code":1}}',
    '{"jsonrpc":"2.0","id":7,"method":"m","params":{}}', '{"jsonrpc":"2.0","id":"7","result":1}', '{"jsonrpc":"2.0","id":-7,"result":1}',
    '{"jsonrpc":"2.0","id":7,"results":1}', '{"jsonrpc":"2.0","id":7 ,"result":1}', '{"jsonrpc":"2.0","id":7,"result"', '{"jsonrpc":"2.0","id":7',
    '{"jsonrpc":"2.0","id":', '{"jsonrpc":"2.0","id":,"result":1}',
  ])('means the same as in another spelling, which is read in another way: %s', (text) => {
    const { kind, method, isError, idStart, idEnd, sessionId, eventType } = look(text);
    const spelled = look(` ${text}`);
    expect({ kind, method, isError, idStart, idEnd, sessionId, eventType }).toEqual({
      kind: spelled.kind, method: spelled.method, isError: spelled.isError, sessionId: spelled.sessionId, eventType: spelled.eventType,
      idStart: Math.max(-1, spelled.idStart - 1), idEnd: Math.max(-1, spelled.idEnd - 1),
    });
  });

  it('with an error says so', () => {
    expect(look('{"jsonrpc":"2.0","id":"a","error":{"code":1}}')).toMatchObject({ kind: 'response', isError: true });
    expect(look('{"error":{"code":1},"jsonrpc":"2.0","id":null}')).toMatchObject({ kind: 'response', isError: true });
  });

  it('with a result before the id is a response all the same', () => {
    const text = '{"result":{"id":1,"x":"\\"id\\":2}"},"id" : "x\\"y" ,"jsonrpc":"2.0"}';
    expect(look(text)).toMatchObject({ kind: 'response', isError: false });
    expect(idOf(text)).toBe('"x\\"y"');
  });

  it('that asks has an id, a method and a session', () => {
    const text = '{"jsonrpc":"2.0","id":7,"method":"hooks.invoke","params":{"sessionId":"s1","input":{"sessionId":"no"}}}';
    expect(look(text)).toMatchObject({ kind: 'request', method: 'hooks.invoke', sessionId: 's1', scanned: text.indexOf(',"input"') });
    expect(idOf(text)).toBe('7');
    expect(idOf('{"params":{"sessionId":"s1"},"method":"hooks.invoke","\\u0069d":-12}')).toBe('-12');
  });

  it('whose id comes last is a request', () => {
    expect(look('{"method":"m","params":{"sessionId":"s"},"id":3}')).toMatchObject({ kind: 'request', sessionId: 's' });
  });

  it('has no event type unless it is an event', () => {
    expect(look('{"params":{"event":{"type":"t"},"sessionId":"s"},"method":"m"}').eventType).toBeUndefined();
    expect(look('{"p\\u0061rams":{"event":{"type":"t"},"sessionId":"s"},"method":"m"}').eventType).toBeUndefined();
  });

  it.each(['', ' ', '[]', '[{"id":1,"result":2}]', '"x"', '1', 'null', '{}', '{"id":1}', '{"result":1}', '{"id":1,"error":null}', '{"method":1}', '{', '{"method"', '{"method":"m"', '{"method":"m",}', '{"method" "m"}', '{a:1}'])(
    'that is no message is unknown: %j',
    (text) => {
      expect(look(text).kind).toBe('unknown');
    },
  );

  it('with long strings that are full of quotes and backslashes is stepped through', () => {
    for (const text of ['\\"'.repeat(100), '\\\\'.repeat(99), `${'x'.repeat(47)}\\"`, `${'x'.repeat(46)}\\\\`, `${'\\\\'.repeat(24)}\\"y`]) {
      expect(look(`{"result":"${text}","id":4}`).kind).toBe('response');
    }
  });
});
