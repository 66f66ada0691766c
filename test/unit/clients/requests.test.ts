import { expect, it } from 'vitest';
import { channels, type RequestDone } from '../../../proxy/channels.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { Front } from './front.js';

const scope = scopeOfEachTest();

it('a call of a method that nobody knows is counted as a request that was answered', async () => {
  const front = await Front.open(scope);
  const client = await front.client();
  const done: RequestDone[] = [];
  const see = (request: RequestDone): void => void done.push(request);
  channels.requestDone.subscribe(see);
  scope.after(() => channels.requestDone.unsubscribe(see));
  expect((await client.call('no.such.method')).error?.code).toBe(-32601);
  expect(done).toEqual([{ method: 'no.such.method', outcome: 'SKYPORT_METHOD_UNKNOWN', durationMs: 0 }]);
});
