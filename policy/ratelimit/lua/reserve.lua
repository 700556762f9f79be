-- Looks at all limits of a call and takes from all of them, or from none.
-- KEYS: the processes; then one for each limit.
-- ARGV: now in microseconds (0: this server's), what to do (0 look, 1 take, 2 take whatever it comes to), who asks,
--       after how many microseconds of silence a process is dead; then for each limit its unit (1 requests,
--       2 tokens, 3 parallel), maximum, length of a slot in microseconds, cost, and 1 if the same counter has
--       been named before.
-- Returns 1 if it took or would take, now, and for each limit: used, wait (-1: for ever), when it is empty.
-- The arithmetic of windows is that of window.go. Numbers above 14 digits need the format, or Lua rounds them.
local SLOTS = 60
local function int(n) return string.format('%.0f', n) end

local time = redis.call('TIME')
local real = time[1] * 1000000 + time[2]
local now = tonumber(ARGV[1])
if now == 0 then now = real end
local mode, me, silence = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local living
local function alive(process)
  if not living then
    living = {[me] = true}
    for _, p in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], int(real - silence), '+inf')) do living[p] = true end
  end
  return living[process]
end

-- What calls under way hold, without those of processes that have died.
local function parallel(key)
  local used, all = 0, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if alive(all[i]) then
      used = used + tonumber(all[i + 1])
    else
      redis.call('HDEL', key, all[i])
    end
  end
  return used
end

-- Forgets what is too old. n: the newest slot, t: the total, l: the last slot that something was added to.
local function advance(key, slot)
  local head = redis.call('HMGET', key, 'n', 't', 'l')
  local at = math.floor(now / slot)
  local newest, total, last = tonumber(head[1]), tonumber(head[2]), tonumber(head[3])
  if not newest then return at, 0, at end
  if at <= newest then return newest, total, last end
  if total == 0 or at - newest > SLOTS then
    redis.call('DEL', key)
    return at, 0, at
  end
  local old = {}
  for s = newest - SLOTS, at - SLOTS - 1 do old[#old + 1] = int(s) end
  for _, n in ipairs(redis.call('HMGET', key, unpack(old))) do
    if n then total = total - tonumber(n) end
  end
  redis.call('HDEL', key, unpack(old))
  redis.call('HSET', key, 'n', int(at), 't', int(total))
  return at, total, last
end

local function gone(s, slot) return (s + SLOTS + 1) * slot end

local function counts(key, newest)
  local names = {}
  for s = newest - SLOTS, newest do names[#names + 1] = int(s) end
  return redis.call('HMGET', key, unpack(names))
end

local function wait(key, newest, total, slot, cost, max)
  local over = total + cost - max
  if over <= 0 then return 0 end
  if cost > max then return -1 end
  for i, n in ipairs(counts(key, newest)) do
    over = over - (n and tonumber(n) or 0)
    if over <= 0 then return gone(newest - SLOTS + i - 1, slot) - now end
  end
  return -1
end

local out, ok, windows = {1, now}, true, {}
for i = 1, #KEYS - 1 do
  local key, a = KEYS[i + 1], 5 * i
  local unit, max, slot, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local used, pause, empty = 0, 0, now
  if unit == 3 then
    used = parallel(key)
    if used + 1 > max then pause = 1000000 end
  else
    local newest, total, last = advance(key, slot)
    used, pause = total, wait(key, newest, total, slot, cost, max)
    if total > 0 then empty = gone(last, slot) end
    windows[i] = {newest, total}
  end
  if max <= 0 then pause = -1 end
  if pause ~= 0 and mode ~= 2 then ok = false end
  out[#out + 1], out[#out + 2], out[#out + 3] = used, pause, empty
end
if not ok then
  out[1] = 0
  return out
end
if mode == 0 then return out end
for i = 1, #KEYS - 1 do
  local key, a = KEYS[i + 1], 5 * i
  local unit, slot, cost, repeated = tonumber(ARGV[a]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), ARGV[a + 4]
  if repeated == '1' then
    -- taken already
  elseif unit == 3 then
    redis.call('HINCRBY', key, me, 1)
    redis.call('EXPIRE', key, 86400)
  else
    local newest, total = windows[i][1], windows[i][2]
    redis.call('HINCRBY', key, int(newest), int(cost))
    redis.call('HSET', key, 'n', int(newest), 't', int(total + cost), 'l', int(newest))
    redis.call('PEXPIRE', key, int(math.ceil((SLOTS + 2) * slot / 1000) + 1000))
  end
end
return out
