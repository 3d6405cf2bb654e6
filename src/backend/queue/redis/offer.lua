-- Puts slots that wait in their places. What is behind the part that is known to be complete stays out.
-- KEYS: front, flight, state, offered, forgotten. ARGV: the most slots of the front, how long they are
-- kept (ms), the slots.
-- Gives how many the front has.
local extent = redis.call('HGET', KEYS[3], 'extent')
if not extent then
  return 0
end
local most = tonumber(ARGV[1])
local looked_at = redis.call('HEXISTS', KEYS[3], 'look') == 1
for i = 3, #ARGV do
  local member = ARGV[i]
  if looked_at then
    redis.call('ZADD', KEYS[4], 0, member)
    redis.call('SREM', KEYS[5], member)
  end
  redis.call('ZREM', KEYS[2], member)
  if member <= extent then
    redis.call('ZADD', KEYS[1], 0, member)
  end
end
if looked_at and redis.call('ZCARD', KEYS[4]) > most then
  redis.call('ZREMRANGEBYRANK', KEYS[4], most, -1)
  redis.call('HSET', KEYS[3], 'cut', 1)
end
local size = redis.call('ZCARD', KEYS[1])
if size > most then
  redis.call('ZREMRANGEBYRANK', KEYS[1], most, -1)
  redis.call('HSET', KEYS[3], 'extent', redis.call('ZRANGE', KEYS[1], -1, -1)[1])
  size = most
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return size
