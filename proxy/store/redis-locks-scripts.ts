/**
 * What is done to a lock inside Redis, each call one script.
 *
 *   {key}:lock      fence (the last one), tail (arrivals); while it is held: holder, until, ttl
 *   {key}:queue     waiters by their arrival
 *   {key}:waiters   waiter → "until ttl"
 *   locks           channel: the key whose lock is free or whose queue has moved
 *
 * Times are Redis' own. What is over by time counts as over only when the caller has had answers from
 * Redis for as long: while Redis is away nobody can renew anything, and who comes back first must not take
 * what a living process holds.
 */

/** KEYS: lock, queue, waiters. ARGV: channel, key, milliseconds of steady answers, name, ... */
const COMMON = `
local lock, queue, waiters = KEYS[1], KEYS[2], KEYS[3]
local me = ARGV[4]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local function tell() redis.call('PUBLISH', ARGV[1], ARGV[2]) end
local function over(till, ttl) return now > tonumber(till) and tonumber(ARGV[3]) >= tonumber(ttl) end
local function hold(ttl) redis.call('HSET', lock, 'until', int(now + tonumber(ttl)), 'ttl', ttl) end
local function wait(ttl) redis.call('HSET', waiters, me, int(now + tonumber(ttl)) .. ' ' .. ttl) end
local function unqueue(name)
  redis.call('HDEL', waiters, name)
  return redis.call('ZREM', queue, name) == 1
end
local function place()
  local rank = redis.call('ZRANK', queue, me)
  return rank and rank + 1 or 0
end
local function prune()
  local changed = false
  local all = redis.call('HGETALL', waiters)
  for i = 1, #all, 2 do
    local till, ttl = string.match(all[i + 1], '(%d+) (%d+)')
    if over(till, ttl) then changed = unqueue(all[i]) or changed end
  end
  local held = redis.call('HMGET', lock, 'holder', 'until', 'ttl')
  if held[1] and over(held[2], held[3]) then
    redis.call('HDEL', lock, 'holder', 'until', 'ttl')
    changed = true
  end
  if changed then tell() end
end
local function mine() return redis.call('HGET', lock, 'holder') == me and redis.call('HGET', lock, 'fence') == ARGV[5] end
`;

/** ARGV: ..., ttl. Gives 1 and the fence, or 0 and who has it. */
const ACQUIRE = `${COMMON}
if redis.call('HGET', lock, 'holder') == me then
  hold(ARGV[5])
  return { 1, tonumber(redis.call('HGET', lock, 'fence')) }
end
prune()
local holder = redis.call('HGET', lock, 'holder')
local first = holder or redis.call('ZRANGE', queue, 0, 0)[1] or me
if first ~= me then return { 0, first } end
redis.call('HSET', lock, 'holder', me)
hold(ARGV[5])
if unqueue(me) then tell() end
return { 1, redis.call('HINCRBY', lock, 'fence', 1) }
`;

/** ARGV: ..., fence, ttl. */
const RENEW = `${COMMON}
if not mine() then return 0 end
hold(ARGV[6])
return 1
`;

/** ARGV: ..., fence. */
const RELEASE = `${COMMON}
if not mine() then return 0 end
redis.call('HDEL', lock, 'holder', 'until', 'ttl')
tell()
return 1
`;

/** ARGV: ..., ttl. Gives the place. */
const ENQUEUE = `${COMMON}
prune()
if place() == 0 then redis.call('ZADD', queue, redis.call('HINCRBY', lock, 'tail', 1), me) end
wait(ARGV[5])
return place()
`;

/** ARGV: ..., ttl, or '' to look only. Gives the place, 0 for none. */
const POSITION = `${COMMON}
prune()
if place() > 0 and ARGV[5] ~= '' then wait(ARGV[5]) end
return place()
`;

const LEAVE = `${COMMON}
if unqueue(me) then tell() end
return 1
`;

const FORGET = `${COMMON}
prune()
if redis.call('HEXISTS', lock, 'holder') == 0 and redis.call('EXISTS', queue) == 0 then redis.call('DEL', lock) end
return 1
`;

export const LOCK_SCRIPTS = {
  acquire: ACQUIRE, renew: RENEW, release: RELEASE, enqueue: ENQUEUE, position: POSITION, leave: LEAVE, forget: FORGET,
} as const;
