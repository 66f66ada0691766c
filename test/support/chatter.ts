/** A steady load: one session's turns, one right after the other. */
import { turn, type CopilotSession } from './sdk.js';

/** Sends one message right after the other, until it is told to stop. */
export class Chatter {
  readonly sent: string[] = [];
  readonly heard: (string | undefined)[] = [];
  private stopping = false;
  private readonly done: Promise<void>;

  constructor(readonly session: CopilotSession, private readonly name: string) {
    this.done = this.run();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
  }

  /** The answers there should be. */
  get expected(): string[] {
    return this.sent.map((prompt, index) => `answer ${index + 1}: ${prompt}`);
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const prompt = `${this.name} says ${this.sent.length}`;
      this.sent.push(prompt);
      this.heard.push((await turn(this.session, prompt)).text);
    }
  }
}
