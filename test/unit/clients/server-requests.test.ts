import { expect, test } from 'vitest';
import { ServerRequests } from '../../../proxy/clients/server-requests.js';
import type { Attachment, ServerRequest } from '../../../proxy/sessions/attachment.js';

function attachmentOf(sessionId: string): Attachment {
  return { session: { id: sessionId } } as unknown as Attachment;
}

function requestOn(attachment: Attachment, idToken: string, refused: string[] = []): ServerRequest {
  return { attachment, idToken, link: { refuseRequest: (id: string) => refused.push(id) } } as unknown as ServerRequest;
}

test('a request is asked under an id of its own, and answered once', () => {
  const requests = new ServerRequests();
  const [a, b] = [requestOn(attachmentOf('s'), '"7"'), requestOn(attachmentOf('t'), '"7"')];
  expect([requests.add(a), requests.add(b)]).toEqual([1, 2]);
  expect([requests.take(2), requests.take(2), requests.take(1), requests.take(3)]).toEqual([b, undefined, a, undefined]);
});

test('requests of an attachment are taken with it, in their order, and no others', () => {
  const requests = new ServerRequests();
  const [one, other] = [attachmentOf('s'), attachmentOf('s')];
  const all = [requestOn(one, '1'), requestOn(other, '2'), requestOn(one, '3')];
  for (const request of all) requests.add(request);
  expect(requests.takeOf(one)).toEqual([all[0], all[2]]);
  expect([requests.takeOf(one), requests.take(2)]).toEqual([[], all[1]]);
});

test('requests on what the client has no more are refused when it goes', () => {
  const requests = new ServerRequests();
  const refused: string[] = [];
  const [still, before, gone] = [attachmentOf('s'), attachmentOf('s'), attachmentOf('t')];
  for (const [attachment, id] of [[still, '1'], [before, '2'], [gone, '3']] as const) requests.add(requestOn(attachment, id, refused));
  requests.refuseOthers(new Map([['s', still]]));
  expect(refused).toEqual(['2', '3']);
});
