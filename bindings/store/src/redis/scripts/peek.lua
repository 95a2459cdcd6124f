-- Reads a record. KEYS: record. Answer: state, blob, 1 if its life is over; or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, blob, over = unpack(redis.call('HMGET', KEYS[1], 'state', 'blob', 'over'))
if not state then
  return false
end
local expired = tonumber(over) <= now
if expired and state:sub(1, 1) ~= 'P' then
  return false
end
return { state, blob, expired and 1 or 0 }
