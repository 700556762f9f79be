-- Holds an amount on all scopes of a call, or on none. One hash a scope: w, the beginning of the window at hand; d, how
-- long windows are; s, what was spent in it; t, the marks that were told; h:PROCESS, what a process's calls hold.
-- KEYS: the processes, the epoch, then the scopes. ARGV: the caller, its epoch, what is wanted, the least, whether to
-- add to a hold (1) or to make one (0); then for each scope: since, duration, max (below 0: none), seconds to live, and
-- the window of the hold that is added to. The answer: a code (0 held, 1 a scope is not known, 2 a scope has no room, 3
-- another epoch), the amount or the scope's number, its spent, its held; then each scope's window.
local t = redis.call('TIME')
local now = t[1] * 1000
if redis.call('HGET', KEYS[2], 'id') ~= ARGV[2] or now < tonumber(redis.call('HGET', KEYS[2], 'opens') or 0) then
  return {3, 0, 0, 0}
end
local live = {}
for _, p in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - 15000, '+inf')) do live[p] = true end
local amount, least, adding = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local out = {0, 0, 0, 0}
for i = 3, #KEYS do
  local a = 6 + (i - 3) * 5
  local since, duration, max, window = tonumber(ARGV[a]), ARGV[a + 1], tonumber(ARGV[a + 2]), ARGV[a + 4]
  local all = redis.call('HGETALL', KEYS[i])
  local f, held = {}, 0
  for j = 1, #all, 2 do
    f[all[j]] = all[j + 1]
    if string.sub(all[j], 1, 2) == 'h:' then
      if live[string.sub(all[j], 3)] then held = held + tonumber(all[j + 1]) else redis.call('HDEL', KEYS[i], all[j]) end
    end
  end
  if not f.w or f.d ~= duration then return {1, i - 2, 0, 0} end
  local spent = tonumber(f.s)
  if tonumber(f.w) < since then -- the budget begins anew; calls of the window before hold nothing of it
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'w', ARGV[a], 'd', duration, 's', 0, 't', 0)
    f.w, spent, held = ARGV[a], 0, 0
  end
  out[#out + 1] = f.w
  if max >= 0 and amount > 0 and not (adding and window ~= f.w) then
    local room = max - spent - held
    if room < amount then
      if room >= least and room > 0 and not adding then amount = room
      else return {2, i - 2, spent, held} end
    end
  end
end
for i = 3, #KEYS do
  local a = 6 + (i - 3) * 5
  if not (adding and ARGV[a + 4] ~= out[2 + i]) then redis.call('HINCRBY', KEYS[i], 'h:' .. ARGV[1], string.format('%.0f', amount)) end
  redis.call('EXPIRE', KEYS[i], ARGV[a + 3])
end
out[2] = amount
return out
