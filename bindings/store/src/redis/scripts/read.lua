-- Reads messages. KEYS: queue. ARGV: first number, how many at most. Answer: number, message, number, message ...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, most, found = ARGV[1] .. '-0', tonumber(ARGV[2]), {}
while #found < 2 * most do
  -- Those whose time is over take no place, so there may have to be another look.
  local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 64)
  if #entries == 0 then
    break
  end
  for _, entry in ipairs(entries) do
    if #found < 2 * most and tonumber(entry[2][4]) > now then
      found[#found + 1] = entry[1]:match('^%d+')
      found[#found + 1] = entry[2][2]
    end
  end
  from = entries[#entries][1]:match('^%d+') .. '-1'
end
return found
