-- Tells that a process lives, and tells it whether this server has lost its data since.
-- KEYS: the processes; the epoch. ARGV: who, after how many microseconds of silence a process is dead, a new epoch.
-- Returns the epoch and how many processes live.
local function int(n) return string.format('%.0f', n) end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', KEYS[1], int(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now - 10 * tonumber(ARGV[2])))
redis.call('SET', KEYS[2], ARGV[3], 'NX')
return {redis.call('GET', KEYS[2]), redis.call('ZCOUNT', KEYS[1], int(now - tonumber(ARGV[2])), '+inf')}
