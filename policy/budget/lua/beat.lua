-- Tells that a process lives, and gives back what those hold that have been silent for too long.
-- KEYS: the processes, the epoch. ARGV: the process, after how many microseconds of silence a process is given up, the
-- beginning of the names of the sets of scopes that processes have touched.
-- Returns the epoch, and how many processes were given up.
local function int(n) return string.format('%.0f', n) end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', KEYS[1], int(now), ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SET', KEYS[2], int(now) .. ':' .. ARGV[1]) end
local given = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now - tonumber(ARGV[2])))
for _, p in ipairs(given) do
  for _, key in ipairs(redis.call('SMEMBERS', ARGV[3] .. p)) do
    redis.call('HDEL', key, 'h:' .. p, 'u:' .. p)
    redis.call('HINCRBY', key, 'v', 1)
    redis.call('HDEL', key, 'k') -- what it had settled may be in the database by now
  end
  redis.call('DEL', ARGV[3] .. p)
  redis.call('ZREM', KEYS[1], p)
end
return {redis.call('GET', KEYS[2]), #given}
