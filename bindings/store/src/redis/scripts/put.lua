-- Writes a record if the one there is as expected.
-- KEYS: record, queue. ARGV: expected state ('' for none), new state, blob, life in ms, how long the key is kept in ms.
-- A state is its kind, token and owner in one string, so comparing it is the compare of compare-and-set.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, over = unpack(redis.call('HMGET', KEYS[1], 'state', 'over'))
if not state or tonumber(over) <= now then
  state = ''
end
if state ~= ARGV[1] then
  return 0
end
if state == '' and redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  -- A new session: nothing that its key's former one left is its own. (Not without need: after a DEL, Redis lets a script go on that
  -- its full memory would have stopped.)
  redis.call('DEL', KEYS[1], KEYS[2])
end
if ARGV[5] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'state', ARGV[2], 'blob', ARGV[3], 'over', string.format('%.0f', now + ARGV[4]))
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1
