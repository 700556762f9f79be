-- Says what a scope has spent, unless another process was faster. KEYS: the epoch, the scope. ARGV: the caller's epoch,
-- since, duration, spent, marks, seconds to live, 1 to replace what is there.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
local w, d = redis.call('HGET', KEYS[2], 'w'), redis.call('HGET', KEYS[2], 'd')
if w and d == ARGV[3] and tonumber(w) >= tonumber(ARGV[2]) and ARGV[7] ~= '1' then return 0 end
if w ~= ARGV[2] then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[2], 'w', ARGV[2], 'd', ARGV[3], 's', ARGV[4], 't', ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return 1
