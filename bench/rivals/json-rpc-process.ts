/**
 * The JSON-RPC proxy that everybody would write first: a message connection on each side, and every request and
 * notification passed on. Arguments: own port, backend's host and port.
 */
import net from 'node:net';
import { createMessageConnection, ParameterStructures, SocketMessageReader, SocketMessageWriter, type MessageConnection } from 'vscode-jsonrpc/node';

const [port, host, backendPort] = process.argv.slice(2);
const BY_NAME = ParameterStructures.byName;

net.createServer({ noDelay: true }, (socket) => {
  const other = net.connect({ host, port: Number(backendPort), noDelay: true });
  const client = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
  const backend = createMessageConnection(new SocketMessageReader(other), new SocketMessageWriter(other));
  passOn(client, backend);
  passOn(backend, client);
  socket.on('close', () => other.destroy());
  other.on('close', () => socket.destroy());
  socket.on('error', () => other.destroy());
  other.on('error', () => socket.destroy());
  client.listen();
  backend.listen();
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });

process.on('unhandledRejection', () => undefined);
process.on('uncaughtException', () => undefined);

function passOn(from: MessageConnection, to: MessageConnection): void {
  from.onRequest((method, params) => to.sendRequest(method, BY_NAME, params));
  from.onNotification((method, params) => void to.sendNotification(method, BY_NAME, params));
  from.onError(() => undefined);
}
