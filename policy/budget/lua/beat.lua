-- Says that a process lives, and which epoch it is in. When the data was lost there is none: a new one begins, which
-- opens once every process had the time to write down what its calls hold.
-- KEYS: the processes, the epoch. ARGV: the process, a new epoch, milliseconds until that opens.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60000)
local id = redis.call('HGET', KEYS[2], 'id')
if not id then
  id = ARGV[2]
  redis.call('HSET', KEYS[2], 'id', id, 'opens', now + ARGV[3])
end
return {id, tonumber(redis.call('HGET', KEYS[2], 'opens')) - now}
