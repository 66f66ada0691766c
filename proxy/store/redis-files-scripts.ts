/**
 * What is done to a session's files inside Redis, each call one script and so whole or not at all.
 *
 *   {id}:m               the session: epoch, owner, bytes, next (inode), writer and seq (last write)
 *   {id}:i               inode → "type size birth mtime pieces last"; the root is inode 1
 *   {id}:d:<inode>       a directory: name → type and inode ("d7", "f12")
 *   {id}:c:<inode>:<n>   piece n of a file: a string that is only ever appended to
 *
 * A file that is replaced gets a new inode: whoever is reading the old one in ranges finds it gone,
 * never mixed with the new one. A rename moves one name. Pieces stay far below the 512 MiB that a
 * string of Redis may have.
 */

/** Every script's first key is `{id}:m`; the others are in the same slot and made from it. */
const COMMON = `
local meta = KEYS[1]
local base = string.sub(meta, 1, -2)
local inodes = base .. 'i'
local function dir(n) return base .. 'd:' .. n end
local function piece(n, k) return base .. 'c:' .. n .. ':' .. k end
-- Minus zero would be no integer to Redis.
local function int(n) return string.format('%.0f', n + 0) end
local function clock()
  local t = redis.call('TIME')
  return int(tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
end
local function known() return redis.call('EXISTS', meta) == 1 end

local function load(n)
  local type, size, birth, mtime, pieces, last = string.match(redis.call('HGET', inodes, n), '(%a) (%d+) (%d+) (%d+) (%d+) (%d+)')
  return { type = type, size = tonumber(size), birth = birth, mtime = mtime, pieces = tonumber(pieces), last = tonumber(last) }
end
local function save(n, i)
  redis.call('HSET', inodes, n, table.concat({ i.type, int(i.size), i.birth, i.mtime, int(i.pieces), int(i.last) }, ' '))
end
local function make(type, now)
  local n = int(redis.call('HINCRBY', meta, 'next', 1))
  return n, { type = type, size = 0, birth = now, mtime = now, pieces = 0, last = 0 }
end

-- The names ARGV[first..last] from the root on: the inode and its type, or nil and why not.
local function walk(first, last)
  local at, type = '1', 'd'
  if not known() then return nil, 'ENOENT' end
  for i = first, last do
    if type ~= 'd' then return nil, 'ENOTDIR' end
    local entry = redis.call('HGET', dir(at), ARGV[i])
    if not entry then return nil, 'ENOENT' end
    type, at = string.sub(entry, 1, 1), string.sub(entry, 2)
  end
  return at, type
end
`;

/** ARGV: epoch, writer, seq, ... A write that was carried out before is not carried out again. */
const WRITE = `${COMMON}
-- nil, or what to answer at once.
local function refusal()
  local held = redis.call('HMGET', meta, 'epoch', 'writer', 'seq', 'bytes')
  if not held[1] or tonumber(ARGV[1]) < tonumber(held[1]) then return { 'ESTALE' } end
  if held[2] ~= ARGV[2] or tonumber(ARGV[3]) > tonumber(held[3]) then return nil end
  if ARGV[3] == held[3] then return { 'OK', held[4] } end
  return { 'EIO' }
end
local function done(grown)
  redis.call('HSET', meta, 'writer', ARGV[2], 'seq', ARGV[3])
  return { 'OK', int(redis.call('HINCRBY', meta, 'bytes', int(grown))) }
end
-- The directory ARGV[first..last], made when it is missing; nil when a file is in the way. Nothing is made then.
local function directory(first, last)
  local at = '1'
  local now = clock()
  for i = first, last do
    local entry = redis.call('HGET', dir(at), ARGV[i])
    if entry and string.sub(entry, 1, 1) ~= 'd' then return nil end
    if entry then
      at = string.sub(entry, 2)
    else
      local n, inode = make('d', now)
      save(n, inode)
      redis.call('HSET', dir(at), ARGV[i], 'd' .. n)
      at = n
    end
  end
  return at
end
-- Takes an inode and all below it away; gives the bytes that are free now.
local function drop(n)
  local rest, freed = { n }, 0
  while #rest > 0 do
    local at = table.remove(rest)
    local inode = load(at)
    if inode.type == 'd' then
      for _, entry in ipairs(redis.call('HVALS', dir(at))) do rest[#rest + 1] = string.sub(entry, 2) end
      redis.call('UNLINK', dir(at))
    else
      for k = 0, inode.pieces - 1 do redis.call('UNLINK', piece(at, k)) end
      freed = freed + inode.size
    end
    redis.call('HDEL', inodes, at)
  end
  return freed
end
`;

/** ARGV: ..., bytes the session may have, bytes the user may have more ('' for no bound), bytes of a piece, content, names. */
const CONTENT = `${WRITE}
local no = refusal()
if no then return no end
local content, first, last = ARGV[7], 8, #ARGV
if first > last then return { 'EISDIR' } end
local at, type = walk(first, last)
if type == 'ENOTDIR' then return { type } end
if type == 'd' then return { 'EISDIR' } end
local inode = at and load(at)
local function exceeded(grown)
  if grown <= 0 then return nil end
  if ARGV[4] ~= '' and tonumber(redis.call('HGET', meta, 'bytes')) + grown > tonumber(ARGV[4]) then return { 'EDQUOT', 'session' } end
  if ARGV[5] ~= '' and grown > tonumber(ARGV[5]) then return { 'EDQUOT', 'user' } end
  return nil
end
local function put(n, inode)
  if #content > 0 then
    if inode.pieces == 0 or inode.last + #content > tonumber(ARGV[6]) then
      inode.pieces, inode.last = inode.pieces + 1, 0
    end
    redis.call('APPEND', piece(n, inode.pieces - 1), content)
  end
  inode.size, inode.last, inode.mtime = inode.size + #content, inode.last + #content, clock()
  save(n, inode)
end
`;

const APPEND = `${CONTENT}
no = exceeded(#content)
if no then return no end
if not at then
  local parent = directory(first, last - 1)
  at, inode = make('f', clock())
  redis.call('HSET', dir(parent), ARGV[last], 'f' .. at)
end
put(at, inode)
return done(#content)
`;

const REPLACE = `${CONTENT}
local before = inode and inode.size or 0
no = exceeded(#content - before)
if no then return no end
local parent = directory(first, last - 1)
local n, new = make('f', inode and inode.birth or clock())
if at then drop(at) end
redis.call('HSET', dir(parent), ARGV[last], 'f' .. n)
put(n, new)
return done(#content - before)
`;

/** ARGV: ..., 1 for recursive, names. */
const MKDIR = `${WRITE}
local no = refusal()
if no then return no end
local at, type = walk(5, #ARGV)
if type == 'ENOTDIR' then return { type } end
if at and (type == 'f' or ARGV[4] ~= '1') then return { 'EEXIST' } end
if not at and ARGV[4] ~= '1' and not walk(5, #ARGV - 1) then return { 'ENOENT' } end
directory(5, #ARGV)
return done(0)
`;

/** ARGV: ..., 1 for recursive, 1 for force, names. */
const RM = `${WRITE}
local no = refusal()
if no then return no end
local at, type = walk(6, #ARGV)
if not at then return ARGV[5] == '1' and type == 'ENOENT' and done(0) or { type } end
if type == 'd' and ARGV[4] ~= '1' then return { 'EISDIR' } end
if #ARGV < 6 then
  -- The root itself stays, empty.
  local freed = 0
  for _, entry in ipairs(redis.call('HVALS', dir(at))) do freed = freed + drop(string.sub(entry, 2)) end
  redis.call('UNLINK', dir(at))
  return done(-freed)
end
local parent = walk(6, #ARGV - 1)
redis.call('HDEL', dir(parent), ARGV[#ARGV])
return done(-drop(at))
`;

/** ARGV: ..., number of the source's names, those names, the destination's names. */
const RENAME = `${WRITE}
local no = refusal()
if no then return no end
local middle = 4 + tonumber(ARGV[4])
if middle < 5 or middle == #ARGV then return { 'EINVAL' } end
local at, type = walk(5, middle)
if not at then return { type } end
local parent, why = walk(middle + 1, #ARGV - 1)
if not parent then return { why } end
if why ~= 'd' then return { 'ENOTDIR' } end
local from = walk(5, middle - 1)
local within = #ARGV - middle >= middle - 4
for i = 5, middle do within = within and ARGV[i] == ARGV[i - 4 + middle] end
if within then return #ARGV - middle == middle - 4 and done(0) or { 'EINVAL' } end
local old, kind = walk(middle + 1, #ARGV)
local freed = 0
if old then
  if kind == 'd' and type ~= 'd' then return { 'EISDIR' } end
  if kind ~= 'd' and type == 'd' then return { 'ENOTDIR' } end
  if kind == 'd' and redis.call('HLEN', dir(old)) > 0 then return { 'ENOTEMPTY' } end
  freed = drop(old)
end
redis.call('HDEL', dir(from), ARGV[middle])
redis.call('HSET', dir(parent), ARGV[#ARGV], type .. at)
return done(-freed)
`;

/** ARGV: epoch, owner. Gives the bytes that the session has, its owner now and its owner before. */
const FENCE = `${COMMON}
local held = redis.call('HMGET', meta, 'epoch', 'owner')
if not held[1] then
  redis.call('HSET', meta, 'bytes', 0, 'next', 1)
  local now = clock()
  save('1', { type = 'd', size = 0, birth = now, mtime = now, pieces = 0, last = 0 })
end
if not held[1] or tonumber(held[1]) <= tonumber(ARGV[1]) then redis.call('HSET', meta, 'epoch', ARGV[1], 'owner', ARGV[2]) end
local now = redis.call('HMGET', meta, 'bytes', 'owner')
return { now[1], now[2], held[2] or now[2] }
`;

/** Gives the owner; nil for a session that is not known. */
const WIPE = `${COMMON}
local owner = redis.call('HGET', meta, 'owner')
local all = redis.call('HGETALL', inodes)
for i = 1, #all, 2 do
  local n, type, pieces = all[i], string.match(all[i + 1], '(%a) %d+ %d+ %d+ (%d+)')
  if type == 'd' then redis.call('UNLINK', dir(n)) end
  for k = 0, tonumber(pieces) - 1 do redis.call('UNLINK', piece(n, k)) end
end
redis.call('UNLINK', inodes, meta)
return owner
`;

/** ARGV: names. */
const STAT = `${COMMON}
local at, type = walk(1, #ARGV)
if not at then return { type } end
local inode = load(at)
return { 'OK', inode.type, int(inode.size), inode.mtime, inode.birth }
`;

/** ARGV: names. Gives name, type and inode by turns. */
const LIST = `${COMMON}
local at, type = walk(1, #ARGV)
if not at then return { type } end
if type ~= 'd' then return { 'ENOTDIR' } end
return { 'OK', redis.call('HGETALL', dir(at)) }
`;

/** ARGV: the most bytes to give at once, names. Gives the inode, the bytes of each piece, and the content when it is small. */
const OPEN = `${COMMON}
local at, type = walk(2, #ARGV)
if not at then return { type } end
if type == 'd' then return { 'EISDIR' } end
local inode = load(at)
local sizes = {}
for k = 0, inode.pieces - 1 do sizes[k + 1] = redis.call('STRLEN', piece(at, k)) end
if #sizes == 1 and sizes[1] <= tonumber(ARGV[1]) then return { 'OK', at, sizes, redis.call('GET', piece(at, 0)) } end
return { 'OK', at, sizes }
`;

/** Gives path, type, inode and the bytes of each piece of everything in the tree, parents first. */
const TREE = `${COMMON}
if not known() then return false end
local found, rest = {}, { { '', '1' } }
while #rest > 0 do
  local above = table.remove(rest)
  local entries = redis.call('HGETALL', dir(above[2]))
  for i = 1, #entries, 2 do
    local path, type, n = above[1] .. '/' .. entries[i], string.sub(entries[i + 1], 1, 1), string.sub(entries[i + 1], 2)
    local sizes = {}
    if type == 'd' then
      rest[#rest + 1] = { path, n }
    else
      for k = 0, load(n).pieces - 1 do sizes[k + 1] = redis.call('STRLEN', piece(n, k)) end
    end
    found[#found + 1] = { path, type, n, sizes }
  end
end
return found
`;

/** KEYS: the sizes of a user's sessions, their sum under ''. ARGV: session, its bytes ('' when it is gone). Gives the sum. */
const ACCOUNT = `
local before = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local sum = redis.call('HINCRBY', KEYS[1], '', string.format('%.0f', tonumber(ARGV[2] == '' and 0 or ARGV[2]) - before))
if redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
return sum
`;

export const FILE_SCRIPTS = {
  append: APPEND, replace: REPLACE, mkdir: MKDIR, rm: RM, rename: RENAME, fence: FENCE, wipe: WIPE,
  stat: STAT, list: LIST, open: OPEN, tree: TREE, account: ACCOUNT,
} as const;
