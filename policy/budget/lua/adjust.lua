-- Adds to what was spent, or takes off, and says that it is known; or tells that something is in the database.
-- KEYS: one scope's hash (see hold.lua), the process's generation.
-- ARGV: the beginning of the window, what to do ("seed", "correct", "flushed", "look"), an amount, the process, the
--       marks that are told already ("seed"), its generation, the version that the
--       amount is for ("seed"): after another one nothing is done.
-- Returns what is spent, what is not in the database, and 1 if that is known; nothing for another window or generation.
local function int(n) return string.format('%.0f', n) end
local key, what, amount = KEYS[1], ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', key, 'w') ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[6] then return {} end
local known = redis.call('HEXISTS', key, 'k')
if what == 'seed' and known == 0 and tonumber(redis.call('HGET', key, 'v') or '0') == tonumber(ARGV[7]) then
  redis.call('HINCRBY', key, 's', int(amount))
  redis.call('HSET', key, 'k', 1, 't', ARGV[5])
  known = 1
elseif what == 'correct' and known == 1 then
  redis.call('HINCRBY', key, 's', int(amount))
elseif what == 'flushed' then
  if redis.call('HINCRBY', key, 'u:' .. ARGV[4], int(-amount)) <= 0 then redis.call('HDEL', key, 'u:' .. ARGV[4]) end
end
local unflushed, all = 0, redis.call('HGETALL', key)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'u:' then unflushed = unflushed + tonumber(all[i + 1]) end
end
return {redis.call('HGET', key, 's') or '0', int(unflushed), known}
