/**
 * The registry in Redis: one hash of all records, changed by scripts that look at the epoch first. Every
 * change has a number and is published with it; a number that is missing says that something was not
 * heard (messages of Redis are lost with a connection), and then everything is read again.
 *
 *   {registry}:records   id → "epoch record"
 *   {registry}:changes   the number of the last change
 *   registry             channel: "number instance id epoch record", without the last two when removed
 */
import { randomBytes } from 'node:crypto';
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';
import { Superseded, type SharedRecord, type SharedRegistry } from './shared-registry.js';

/** KEYS: records, changes. ARGV: channel, instance, id, epoch, record; epoch and record '' to remove. */
const STORE = `
local function epochOf(value) return tonumber(string.match(value, '^%d+')) end
local function store()
  local value = ARGV[5] == '' and '' or ' ' .. ARGV[4] .. ' ' .. ARGV[5]
  if value == '' then redis.call('HDEL', KEYS[1], ARGV[3]) else redis.call('HSET', KEYS[1], ARGV[3], string.sub(value, 2)) end
  local number = redis.call('INCR', KEYS[2])
  redis.call('PUBLISH', ARGV[1], string.format('%.0f', number) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. value)
  return { 'OK', number }
end
local stored = redis.call('HGET', KEYS[1], ARGV[3])
local mine = ARGV[4] .. ' ' .. ARGV[5]
`;

/** What is there already may have been made by this very call, sent twice. */
const CREATE = `${STORE}
if stored and stored ~= mine then return { 'TAKEN' } end
return store()
`;

const PUT = `${STORE}
if not stored or epochOf(stored) > tonumber(ARGV[4]) then return { 'SUPERSEDED', stored } end
return store()
`;

/** ARGV[6]: the epoch that the stored one must have. */
const CLAIM = `${STORE}
if not stored or epochOf(stored) ~= tonumber(ARGV[6]) and stored ~= mine then return { 'TAKEN' } end
return store()
`;

/** ARGV[6]: the highest epoch that may be removed, or ''. */
const REMOVE = `${STORE}
if not stored then return { 'GONE' } end
if ARGV[6] ~= '' and epochOf(stored) > tonumber(ARGV[6]) then return { 'SUPERSEDED', stored } end
return store()
`;

/** Records that are read at once. */
const PAGE = 500;

export class RedisRegistry implements SharedRegistry {
  private readonly scripts: { readonly create: Script; readonly put: Script; readonly claim: Script; readonly remove: Script };
  private readonly keys: readonly [records: string, changes: string];
  private readonly channel: string;
  /** Stands for this process in what it publishes. */
  private readonly self = randomBytes(9).toString('base64url');
  /** The number of the last change of each session that is known here. */
  private readonly numbers = new Map<string, number>();
  /** The last change that was heard of, or read; undefined before the first. */
  private heard: number | undefined;
  /** How far the others were at the last tick: what was not heard by the next one was missed. */
  private published = 0;
  private missed = false;
  private listener: ((id: string, record: SharedRecord | undefined) => void) | undefined;

  /** @param client stays the caller's: it is not closed here */
  constructor(private readonly client: RedisClient) {
    this.keys = [client.keyOf('registry', 'records'), client.keyOf('registry', 'changes')];
    this.channel = client.key('registry');
    const script = (name: string, lua: string): Script => client.script(`registry_${name}`, lua, 2);
    this.scripts = { create: script('create', CREATE), put: script('put', PUT), claim: script('claim', CLAIM), remove: script('remove', REMOVE) };
  }

  async load(): Promise<SharedRecord[]> {
    // What changes while it is read has a higher number, and is heard of.
    const number = Number(await this.client.run((redis) => redis.get(this.keys[1])) ?? 0);
    const records = new Map<string, SharedRecord>();
    let cursor = '0';
    do {
      const [next, entries] = await this.client.run((redis) => redis.hscan(this.keys[0], cursor, 'COUNT', PAGE));
      for (let i = 0; i < entries.length; i += 2) records.set(entries[i]!, recordIn(entries[i + 1]!));
      cursor = next;
    } while (cursor !== '0');
    for (const id of records.keys()) this.numbers.set(id, Math.max(number, this.numbers.get(id) ?? 0));
    this.heard = Math.max(number, this.heard ?? 0);
    return [...records.values()];
  }

  async find(id: string): Promise<SharedRecord | undefined> {
    const value = await this.client.run((redis) => redis.hget(this.keys[0], id));
    return value === null ? undefined : recordIn(value);
  }

  async create(record: SharedRecord): Promise<boolean> {
    return this.done(record.id, await this.call('create', record.id, record)) === 'OK';
  }

  async put(record: SharedRecord): Promise<void> {
    this.done(record.id, await this.call('put', record.id, record));
  }

  async claim(record: SharedRecord, fromEpoch: number): Promise<boolean> {
    return this.done(record.id, await this.call('claim', record.id, record, fromEpoch)) === 'OK';
  }

  async remove(id: string, epoch?: number): Promise<void> {
    this.done(id, await this.call('remove', id, undefined, epoch ?? ''));
  }

  watch(listener: (id: string, record: SharedRecord | undefined) => void): void {
    this.listener = listener;
    this.client.listen('registry', (message) => this.hear(message));
  }

  async tick(): Promise<void> {
    try {
      await this.catchUp();
    } catch (error) {
      // That Redis is away is told by its client; the next tick tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  async reread(): Promise<void> {
    if (this.listener !== undefined && this.heard !== undefined) await this.readAgain(false);
  }

  async close(): Promise<void> {
    this.listener = undefined;
  }

  private async catchUp(): Promise<void> {
    if (this.listener === undefined || this.heard === undefined) return;
    const heard = this.heard;
    const late = this.missed || this.published > heard;
    this.published = Number(await this.client.run((redis) => redis.get(this.keys[1])) ?? 0);
    // Fewer than were heard of: Redis has lost its data.
    const lost = this.published < heard;
    if (late || lost) await this.readAgain(lost);
  }

  private async call(name: 'create' | 'put' | 'claim' | 'remove', id: string, record: SharedRecord | undefined, ...more: (string | number)[]): Promise<Reply> {
    const args = [this.channel, this.self, id, record?.epoch ?? '', record === undefined ? '' : JSON.stringify(record), ...more];
    return await this.scripts[name](this.keys, args) as Reply;
  }

  /** @throws Superseded */
  private done(id: string, [code, result]: Reply): Reply[0] {
    if (code === 'SUPERSEDED') throw new Superseded(id, typeof result === 'string' ? recordIn(result) : undefined);
    if (code === 'OK') this.numbers.set(id, Math.max(result as number, this.numbers.get(id) ?? 0));
    return code;
  }

  private hear(message: string): void {
    const { number: text, from, id, value } = MESSAGE.exec(message)!.groups!;
    const number = Number(text);
    if (this.heard !== undefined && number > this.heard + 1) this.missed = true;
    this.heard = Math.max(number, this.heard ?? 0);
    // Own changes only come to their end here: nothing older of this session is on its way any more.
    if (from === this.self && value === undefined && this.numbers.get(id!) === number) this.numbers.delete(id!);
    if (from === this.self || number <= (this.numbers.get(id!) ?? 0)) return;
    this.tell(id!, value === undefined ? undefined : recordIn(value), number);
  }

  private tell(id: string, record: SharedRecord | undefined, number: number): void {
    if (record === undefined) this.numbers.delete(id);
    else this.numbers.set(id, number);
    this.listener?.(id, record);
  }

  private async readAgain(lost: boolean): Promise<void> {
    const before = new Map(this.numbers);
    if (lost) this.numbers.clear();
    const heard = this.heard;
    this.missed = false;
    this.heard = undefined;
    let records: SharedRecord[];
    try {
      records = await this.load();
    } catch (error) {
      this.missed = true;
      this.heard = Math.max(heard ?? 0, this.heard ?? 0);
      throw error;
    }
    const there = new Set(records.map(({ id }) => id));
    for (const record of records) this.listener?.(record.id, record);
    for (const [id, number] of before) {
      if (!there.has(id) && (this.numbers.get(id) ?? number) === number) this.tell(id, undefined, number);
    }
  }
}

type Reply = ['OK' | 'TAKEN' | 'GONE' | 'SUPERSEDED', (number | string | null)?];

const MESSAGE = /^(?<number>\d+) (?<from>\S+) (?<id>\S+)( (?<value>.*))?$/s;

function recordIn(value: string): SharedRecord {
  return JSON.parse(value.slice(value.indexOf(' ') + 1)) as SharedRecord;
}
