/** How many bytes the sessions of each user have together, counted in Redis beside the sessions. */
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';
import { FILE_SCRIPTS } from './redis-files-scripts.js';

export class UserSums {
  private readonly account: Script;

  constructor(private readonly client: RedisClient) {
    this.account = client.script('files_account', FILE_SCRIPTS.account, 1);
  }

  /** @throws StoreUnavailable */
  async of(owner: string, deadline?: number): Promise<number> {
    return Number(await this.client.run((redis) => redis.hget(this.key(owner), ''), deadline) ?? 0);
  }

  /**
   * Takes note of a session's whole size, so what is not noted because Redis went away is put right by
   * the session's next write.
   * @param bytes undefined when the session is not this user's any more
   */
  async count(owner: string, sessionId: string, bytes: number | undefined): Promise<void> {
    try {
      await this.account([this.key(owner)], [sessionId, bytes ?? '']);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  private key(owner: string): string {
    return this.client.keyOf(`user:${owner}`, 'bytes');
  }
}
