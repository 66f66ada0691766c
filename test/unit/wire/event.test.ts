import { describe, expect, it } from 'vitest';
import { endsOf, eventEnd, eventStart, idEnd, idStart } from '../../../proxy/wire/event.js';
import { frameOf } from '../../../proxy/wire/frame.js';

const ID = '3eec47fd-484c-4e27-a368-77b450c63ec9';
const REST = `"id":"${ID}","timestamp":"2026-11-22T23:41:27.568Z","parentId":"fe37d737-58a0-461e-87bc-543ba6aa9660"`;
const message = (event: string): string => `{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s-1","event":${event}}}`;

function look(text: string): { kind: string; event?: string; id?: string } {
  const frame = frameOf(text);
  const kind = endsOf(frame);
  if (kind !== 'lasting') return { kind };
  return { kind, event: frame.buffer.toString('utf8', eventStart, eventEnd), id: frame.buffer.toString('utf8', idStart, idEnd) };
}

describe('an event that the runtime sends', () => {
  it.each([
    ['plain', `{"type":"assistant.message","data":{"content":"é"},${REST}}`],
    ['without data', `{"type":"assistant.message","data":{},${REST}}`],
    ['the first', `{"type":"session.start","data":{"a":1},${REST.replace(/"parentId":.*/, '"parentId":null')}}`],
    ['of a sub-agent', `{"type":"assistant.message","data":{"a":{}},"agentId":"c37d9b42-a91e-45fd-aa50-869e5d74b743",${REST}}`],
    ['that speaks of marks', `{"type":"user.message","data":{"content":${JSON.stringify(`","ephemeral":true,${REST}}}}`)}},${REST}}`],
    ['whose data has a mark', `{"type":"user.message","data":{"ephemeral":true},${REST}}`],
  ])('is found whole with its id: %s', (_, event) => {
    expect(look(message(event))).toEqual({ kind: 'lasting', event, id: ID });
  });

  it.each([
    ['after its type', `{"type":"session.usage_info","ephemeral":true,"data":{},${REST}}`],
    ['after its data', `{"type":"model.response","data":{},"ephemeral":true,${REST}}`],
    ['before its agent', `{"type":"model.response","data":{},"ephemeral":true,"agentId":"c37d9b42",${REST}}`],
  ])('says that it is not stored %s', (_, event) => {
    expect(look(message(event))).toEqual({ kind: 'ephemeral' });
  });

  it.each([
    ['with its agent first', message(`{"type":"x","agentId":"a","data":{},${REST}}`)],
    ['with its id first', message(`{"id":"${ID}","type":"x","data":{}}`)],
    ['with a member more at its end', message(`{"type":"x","data":{},${REST},"more":1}`)],
    ['with a text more before its id', message(`{"type":"x","data":{},"more":"y",${REST}}`)],
    ['without an id', message('{"type":"x","data":{},"timestamp":"t","parentId":null}')],
    ['with an escape in its id', message(`{"type":"x","data":{},${REST.replace(ID, 'a\\"b')}}`)],
    ['with white space', message(`{"type":"x","data":{},${REST}} `)],
    ['with params before the method', `{"params":{"event":{"type":"x","data":{},${REST}}},"method":"session.event"}`],
    ['with nothing else', '}}}'],
    ['empty', ''],
  ])('is left to a parser when it is spelled otherwise: %s', (_, text) => {
    expect(look(text)).toEqual({ kind: 'other' });
  });
});
