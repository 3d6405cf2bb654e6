-- Takes slots out that do not wait there any more.
-- KEYS: front, flight, state, offered, forgotten. ARGV: how many are remembered during a look, the slots.
local looked_at = redis.call('HEXISTS', KEYS[3], 'look') == 1 and redis.call('SCARD', KEYS[5]) < tonumber(ARGV[1])
for i = 2, #ARGV do
  local member = ARGV[i]
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
  if looked_at then
    redis.call('ZREM', KEYS[4], member)
    redis.call('SADD', KEYS[5], member)
  end
end
return 1
