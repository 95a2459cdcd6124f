-- Puts a note into a mailbox, if its owner has a lease. KEYS: lease, mailbox. ARGV: note, how many at most, how long they are kept in ms.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[2]), -1)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
