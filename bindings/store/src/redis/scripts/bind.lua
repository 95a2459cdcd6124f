-- Says whose session is a user's. KEYS: user. ARGV: session, life in ms, how many sessions are remembered.
-- Answer: the session before it, or nothing; -1 if it was the user's before, and another is by now.
-- The user's last sessions stand one behind the other, the newest first.
local own, size = ARGV[1], #ARGV[1]
local bound = redis.call('GET', KEYS[1]) or ''
if bound:sub(1, size) ~= own then
  for at = size + 1, #bound, size do
    if bound:sub(at, at + size - 1) == own then
      return -1
    end
  end
  bound = (own .. bound):sub(1, size * ARGV[3])
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], bound, 'PX', ARGV[2])
end
local before = bound:sub(size + 1, 2 * size)
return before ~= '' and before
