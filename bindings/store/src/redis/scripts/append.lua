-- Appends a message to a queue. KEYS: record, queue. ARGV: message, life in ms, how many messages at most.
-- Answer: 0 if there is no session, -1 if the queue is full, else the message's number and the record's state.
-- The last number stands in the record, so it outlives the messages. The queue is a stream: NUMBER-0, with the message and its end.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, over = unpack(redis.call('HMGET', KEYS[1], 'state', 'over'))
if not state or tonumber(over) <= now or state:sub(1, 1) == 'T' then
  return 0
end
local most = tonumber(ARGV[3])
if redis.call('XLEN', KEYS[2]) >= most then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    if tonumber(entry[2][4]) <= now then
      redis.call('XDEL', KEYS[2], entry[1])
    end
  end
  if redis.call('XLEN', KEYS[2]) >= most then
    return -1
  end
end
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'last', 1))
local life = tonumber(ARGV[2])
redis.call('XADD', KEYS[2], number .. '-0', 'm', ARGV[1], 'x', string.format('%.0f', now + life))
-- The queue goes with the last of its messages.
if redis.call('PTTL', KEYS[2]) < life then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return { number, state }
