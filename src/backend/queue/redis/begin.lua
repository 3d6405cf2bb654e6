-- Begins a look at the database, unless somebody looks, or has looked a moment ago. From now on what is offered and
-- forgotten is remembered: the database may be read before it.
-- KEYS: front, flight, state, offered, forgotten. ARGV: whose look, how long it may take (ms), the pause after another (ms).
-- Gives 1 when it has begun.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('HGET', KEYS[3], 'ends')
if ends and tonumber(ends) > now then
  return 0
end
local looked = redis.call('HGET', KEYS[3], 'looked')
if looked and tonumber(looked) + ARGV[3] > now then
  return 0
end
if redis.call('HEXISTS', KEYS[3], 'extent') == 0 then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[3], 'extent', '')
end
redis.call('DEL', KEYS[4], KEYS[5])
redis.call('HDEL', KEYS[3], 'cut')
redis.call('HSET', KEYS[3], 'look', ARGV[1], 'ends', now + ARGV[2])
return 1
