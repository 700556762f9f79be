-- Ends a call's hold with what it did cost.
-- KEYS: the process's generation; then a hash for each scope (see hold.lua).
-- ARGV: the process, its generation; then for each scope the beginning of the window the call began in, what it held, what it cost,
--       the soft and the hard maximum (0 and -1: none).
-- Returns for each scope what is spent now, and the marks reached by this call (1 soft, 2 80 %, 4 all); -1 if the
-- budget has begun anew since. Nothing, if the generation is another.
local function int(n) return string.format('%.0f', n) end
local me, out = ARGV[1], {}
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {} end
for i = 1, #KEYS - 1 do
  local key, a = KEYS[i + 1], 5 * i - 2
  local since, held, cost = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local soft, max = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  if redis.call('HGET', key, 'w') ~= since then
    out[#out + 1], out[#out + 2] = -1, 0
  else
    if redis.call('HINCRBY', key, 'h:' .. me, int(-held)) <= 0 then redis.call('HDEL', key, 'h:' .. me) end
    local spent = tonumber(redis.call('HGET', key, 's') or '0')
    if cost ~= 0 then
      spent = redis.call('HINCRBY', key, 's', int(cost))
      redis.call('HINCRBY', key, 'u:' .. me, int(cost))
    end
    local told, reached = tonumber(redis.call('HGET', key, 't') or '0'), 0
    local function mark(bit, at)
      if at > 0 and spent >= at then
        if math.floor(told / bit) % 2 == 0 then reached = reached + bit end
      end
    end
    mark(1, soft)
    mark(2, math.floor(max / 5) * 4)
    mark(4, max)
    if reached > 0 then redis.call('HSET', key, 't', told + reached) end
    out[#out + 1], out[#out + 2] = spent, reached
  end
end
return out
