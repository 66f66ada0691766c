import net, { type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { takesNudges } from '../../../proxy/backends/nudge-probe.js';
import { MAX_OPEN_HEADER } from '../../../proxy/wire/tcp.js';
import { FakeServer } from '../../support/fake-server.js';
import { frame } from '../../support/framing.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();

/** Long enough never to be reached by a server that says something. */
const PATIENCE = 20_000;

/** A server that does as it is told with each connection. */
async function server(onConnection: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const listening = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  scope.after(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return { host: '127.0.0.1', port: (listening.address() as AddressInfo).port };
}

describe('a CLI server takes nudges', () => {
  it('when it finds the frame behind them', async () => {
    const fake = scope.own(await FakeServer.start());
    expect(await takesNudges({ host: '127.0.0.1', port: fake.port }, PATIENCE)).toBe(true);
    expect(fake.requests.map(({ method }) => method)).toEqual(['ping']);
  });

  it('when it finds the frame but wants a token: the probe needs none', async () => {
    const fake = scope.own(await FakeServer.start({ token: 'secret' }));
    expect(await takesNudges({ host: '127.0.0.1', port: fake.port, token: 'secret' }, PATIENCE)).toBe(true);
    expect(fake.requests[0]!.text).not.toContain('secret');
  });

  it('that are as many as a link ever leaves open', async () => {
    let header = Buffer.alloc(0);
    const address = await server((socket) => socket.on('data', (chunk: Buffer) => {
      header = Buffer.concat([header, chunk]);
      if (header.includes('Content-Length')) socket.end(frame('{"jsonrpc":"2.0","id":"nudge","result":{}}'));
    }));
    expect(await takesNudges(address, PATIENCE)).toBe(true);
    const nudges = header.toString('latin1').split('Content-Length')[0]!;
    expect(nudges).toMatch(/^(A:1\r\n)+$/);
    expect(MAX_OPEN_HEADER - nudges.length).toBeLessThan(5);
  });
});

describe('a CLI server takes no nudges', () => {
  it('when it closes at the first header that it does not know', async () => {
    const address = await server((socket) => socket.once('data', () => socket.destroy()));
    expect(await takesNudges(address, PATIENCE)).toBe(false);
  });

  it('when it answers with something else', async () => {
    const address = await server((socket) => socket.once('data', () => socket.write(frame('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}'))));
    expect(await takesNudges(address, PATIENCE)).toBe(false);
  });

  it('when it answers with no frame', async () => {
    const address = await server((socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
    expect(await takesNudges(address, PATIENCE)).toBe(false);
  });

  it('when it says nothing in time', async () => {
    const address = await server((socket) => socket.resume());
    expect(await takesNudges(address, 20)).toBe(false);
  });

  it('when it is not there', async () => {
    const fake = await FakeServer.start();
    const { port } = fake;
    await fake.stop();
    expect(await takesNudges({ host: '127.0.0.1', port }, PATIENCE)).toBe(false);
  });
});
