-- Holds money for a call on all of its scopes, or on none.
-- KEYS: the epoch, the set of scopes that this process has touched, its generation; then a hash for each scope.
-- ARGV: the process, the epoch it knows, its generation, want, least, and how many microseconds a new epoch is not
--       trusted; then for each scope its maximum (-1: none) and the beginning of its window in microseconds since 1970.
-- A scope's hash: w the window's beginning, s what was spent in it, k 1 once that is known, v how often a process has
-- written its own anew, t the marks that were told; by process h:P what its calls hold, u:P what is settled and not in
-- the database yet.
-- A process that writes its own anew takes the next generation: what it had sent before, and was not answered in
-- time, may still be on its way, and must not count any more.
-- Returns what happened and its particulars: "ok" amount, then of each scope what is spent and when its window began;
-- "full" number, spent, held; "unknown" number, spent, not in the database, version; "epoch" the one that there is: the
-- process has to write its own; "warming" microseconds.
local function int(n) return string.format('%.0f', n) end
local me, known, want, least, trust = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = int(now) .. ':' .. me
  redis.call('SET', KEYS[1], epoch)
end
if epoch ~= known or redis.call('GET', KEYS[3]) ~= ARGV[3] then return {'epoch', epoch} end
-- A server that has lost its data is not asked before every process had the time to say what it holds.
local age = now - tonumber(string.match(epoch, '^%d+'))
if age < trust then return {'warming', trust - age} end

local amount, spent, windows = want, {}, {}
for i = 1, #KEYS - 3 do
  local key, a = KEYS[i + 3], 5 + 2 * i
  local max, since = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
  local all = redis.call('HGETALL', key)
  local window, s, k, v, held, unflushed = nil, 0, nil, 0, 0, 0
  for j = 1, #all, 2 do
    local field, kind = all[j], string.sub(all[j], 1, 2)
    if field == 'w' then window = tonumber(all[j + 1])
    elseif field == 's' then s = tonumber(all[j + 1])
    elseif field == 'k' then k = true
    elseif field == 'v' then v = tonumber(all[j + 1])
    elseif kind == 'h:' then held = held + tonumber(all[j + 1])
    elseif kind == 'u:' then unflushed = unflushed + tonumber(all[j + 1])
    end
  end
  if window and window < since then -- the budget begins anew
    redis.call('DEL', key)
    redis.call('HSET', key, 'w', int(since), 's', 0, 'k', 1)
    window, s, k, held = since, 0, true, 0
  end
  if not window then redis.call('HSET', key, 'w', int(since)) end
  if not k then return {'unknown', i, int(s), int(unflushed), v} end
  spent[i], windows[i] = int(s), int(window or since)
  if max >= 0 and want > 0 then
    local room = max - s - held
    if room < amount then
      if room >= least and room > 0 then
        amount = room
      else
        return {'full', i, int(s), int(held)}
      end
    end
  end
end
local out = {'ok', int(amount)}
for i = 1, #KEYS - 3 do
  redis.call('HINCRBY', KEYS[i + 3], 'h:' .. me, int(amount))
  redis.call('EXPIRE', KEYS[i + 3], 3456000) -- forty days: what is idle so long is summed anew
  redis.call('SADD', KEYS[2], KEYS[i + 3])
  out[#out + 1], out[#out + 2] = spent[i], windows[i]
end
return out
