/** A proxy that passes whole frames on, and does something wrong with some of those that the backend sends. */
import net, { type AddressInfo } from 'node:net';
import { frame, FrameReader } from '../../support/framing.js';

export type Wrong = 'nothing' | 'drops' | 'repeats' | 'reorders' | 'misroutes' | 'garbles';

export class WrongProxy {
  private readonly clients: net.Socket[] = [];
  private held: Buffer | undefined;
  private seen = 0;

  private constructor(private readonly server: net.Server, private readonly wrong: Wrong, private readonly isStreamed: (text: string) => boolean) {}

  /** @param isStreamed which frames it may be wrong with: the tenth of them and every tenth after it */
  static async start(backendPort: number, wrong: Wrong, isStreamed: (text: string) => boolean): Promise<WrongProxy> {
    const server = net.createServer({ noDelay: true });
    const proxy = new WrongProxy(server, wrong, isStreamed);
    server.on('connection', (socket) => proxy.join(socket, backendPort));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.close();
    for (const client of this.clients) client.destroy();
  }

  private join(client: net.Socket, backendPort: number): void {
    this.clients.push(client);
    const backend = net.connect({ host: '127.0.0.1', port: backendPort, noDelay: true });
    const reader = new FrameReader();
    client.pipe(backend);
    backend.on('data', (chunk) => {
      for (const text of reader.push(chunk)) this.pass(client, text);
    });
    for (const [socket, other] of [[client, backend], [backend, client]] as const) {
      socket.on('error', () => undefined);
      socket.on('close', () => other.destroy());
    }
  }

  private pass(client: net.Socket, text: string): void {
    const bytes = frame(text);
    if (!this.isStreamed(text) || this.wrong === 'nothing') {
      client.write(bytes);
      return;
    }
    const due = ++this.seen % 10 === 0;
    const held = this.held;
    this.held = undefined;
    if (!due) client.write(held ? Buffer.concat([bytes, held]) : bytes);
    else if (this.wrong === 'repeats') client.write(Buffer.concat([bytes, bytes]));
    else if (this.wrong === 'reorders') this.held = bytes;
    else if (this.wrong === 'misroutes') this.clients.find((other) => other !== client)!.write(bytes);
    else if (this.wrong === 'garbles') client.write(frame(text.slice(0, -40)));
  }
}
