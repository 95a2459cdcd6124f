-- Takes all notes of a mailbox. KEYS: mailbox.
local notes = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return notes
