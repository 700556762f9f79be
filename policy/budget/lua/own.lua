-- Writes what one process knows of its own: after the server has lost its data, or an answer did not come.
-- KEYS: the set of scopes that the process has touched, one scope's hash (see hold.lua), the process's generation.
-- ARGV: the process, the beginning of the window, what its calls hold, what is not in the database yet,
--       the generation.
-- What was spent has to be found anew.
local key, me = KEYS[2], ARGV[1]
if redis.call('GET', KEYS[3]) ~= ARGV[5] then return 0 end
local window = redis.call('HGET', key, 'w')
if window and tonumber(window) > tonumber(ARGV[2]) then return 0 end
if window ~= ARGV[2] then
  redis.call('DEL', key)
  redis.call('HSET', key, 'w', ARGV[2])
end
redis.call('HDEL', key, 'k', 'h:' .. me, 'u:' .. me)
redis.call('HINCRBY', key, 'v', 1) -- whoever is summing at this moment begins again
if ARGV[3] ~= '0' then redis.call('HSET', key, 'h:' .. me, ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('HSET', key, 'u:' .. me, ARGV[4]) end
redis.call('SADD', KEYS[1], key)
redis.call('EXPIRE', key, 3456000)
return 1
