-- Takes the first slots out of the front into the flight, after what was in flight for too long has come back.
-- KEYS: front, flight, state. ARGV: how many, how long they may be away (ms), how many may come back, how
-- long all is kept (ms).
-- Gives how many are left, up to where the front is complete, and the slots; nothing when nobody knows.
local extent = redis.call('HGET', KEYS[3], 'extent')
if not extent then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, member in ipairs(late) do
  redis.call('ZREM', KEYS[2], member)
  if member <= extent then
    redis.call('ZADD', KEYS[1], 0, member)
  end
end
local taken = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
for _, member in ipairs(taken) do
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZADD', KEYS[2], now + ARGV[2], member)
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
table.insert(taken, 1, extent)
table.insert(taken, 1, tostring(redis.call('ZCARD', KEYS[1])))
return taken
