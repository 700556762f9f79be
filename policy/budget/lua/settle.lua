-- Ends a hold. KEYS: the scopes. ARGV: the process; then for each scope: the window of the hold, what was held, what it
-- cost, max, soft. The answer: for each scope what is spent now (-1: another window), and the marks that this reached.
local out = {}
for i = 1, #KEYS do
  local a = 2 + (i - 1) * 5
  if redis.call('HGET', KEYS[i], 'w') == ARGV[a] then
    local mine = 'h:' .. ARGV[1]
    local left = tonumber(redis.call('HGET', KEYS[i], mine) or 0) - tonumber(ARGV[a + 1])
    if left > 0 then redis.call('HSET', KEYS[i], mine, string.format('%.0f', left)) else redis.call('HDEL', KEYS[i], mine) end
    local spent = redis.call('HINCRBY', KEYS[i], 's', ARGV[a + 2])
    local max, soft = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
    local told, bits = tonumber(redis.call('HGET', KEYS[i], 't') or 0), 0
    if soft > 0 and spent >= soft then bits = bits + 1 end
    if max > 0 and spent >= max / 5 * 4 then bits = bits + 2 end
    if max > 0 and spent >= max then bits = bits + 4 end
    local new = bit.band(bits, bit.bnot(told))
    if new ~= 0 then redis.call('HSET', KEYS[i], 't', bit.bor(told, bits)) end
    out[#out + 1] = spent
    out[#out + 1] = new
  else
    out[#out + 1] = -1
    out[#out + 1] = 0
  end
end
return out
