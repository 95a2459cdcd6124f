-- Forgets messages up to a number. KEYS: queue. ARGV: the number.
repeat
  local entries = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', 64)
  for _, entry in ipairs(entries) do
    redis.call('XDEL', KEYS[1], entry[1])
  end
until #entries == 0
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return 1
