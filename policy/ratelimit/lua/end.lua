-- Corrects what a call has taken, once it has ended.
-- KEYS: one for each limit.
-- ARGV: now in microseconds (0: this server's), when the call took, who asks; then for each limit its unit,
--       the length of a slot, and what to add now (more than 0) or to give back where it was taken (less than 0).
local SLOTS = 60
local function int(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local at, me = tonumber(ARGV[2]), ARGV[3]

-- Forgets what is too old once the newest slot is `to`.
local function advance(key, newest, to)
  local old, gone = {}, 0
  for s = newest - SLOTS, to - SLOTS - 1 do old[#old + 1] = int(s) end
  for _, n in ipairs(redis.call('HMGET', key, unpack(old))) do
    if n then gone = gone + tonumber(n) end
  end
  redis.call('HDEL', key, unpack(old))
  redis.call('HINCRBY', key, 't', int(-gone))
end

for i = 1, #KEYS do
  local key, a = KEYS[i], 1 + 3 * i
  local unit, slot, delta = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  if unit == 3 then
    if redis.call('HEXISTS', key, me) == 1 and redis.call('HINCRBY', key, me, -1) <= 0 then
      redis.call('HDEL', key, me)
    end
  elseif delta > 0 then
    local add = math.floor(now / slot)
    local newest = tonumber(redis.call('HGET', key, 'n') or '-1000')
    if newest < add - SLOTS then -- nothing of it counts any more
      redis.call('DEL', key)
    elseif newest < add then
      advance(key, newest, add)
    else
      add = newest
    end
    redis.call('HINCRBY', key, int(add), int(delta))
    redis.call('HINCRBY', key, 't', int(delta))
    redis.call('HSET', key, 'n', int(add), 'l', int(add))
    redis.call('PEXPIRE', key, int(math.ceil((SLOTS + 2) * slot / 1000) + 1000))
  elseif delta < 0 then
    local s = math.floor(at / slot)
    local had = tonumber(redis.call('HGET', key, int(s)) or '0')
    local back = math.min(-delta, had)
    if back > 0 then
      redis.call('HINCRBY', key, int(s), int(-back))
      redis.call('HINCRBY', key, 't', int(-back))
    end
  end
end
return 1
