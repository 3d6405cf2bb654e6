-- Makes what a look at the database found of the front, in parts and in order: after each the front is complete up to there.
-- KEYS: front, flight, state, offered, forgotten. ARGV: whose look, the most slots of the front, how long all is kept (ms),
-- 1 for the last part, up to where the front is complete with it, how many of what follows do not wait, those, those that do.
-- Gives 1; 0 when the look is not the asker's any more.
if redis.call('HGET', KEYS[3], 'look') ~= ARGV[1] then
  return 0
end
local most, is_last, extent, ghosts = tonumber(ARGV[2]), ARGV[4] == '1', ARGV[5], tonumber(ARGV[6])
for i = 7, 6 + ghosts do
  redis.call('ZREM', KEYS[1], ARGV[i])
end
for i = 7 + ghosts, #ARGV do
  local member = ARGV[i]
  if redis.call('SISMEMBER', KEYS[5], member) == 0 and not redis.call('ZSCORE', KEYS[2], member) then
    redis.call('ZADD', KEYS[1], 0, member)
  end
end
local before = redis.call('HGET', KEYS[3], 'extent')
if not is_last and before and before > extent then
  extent = before
end
if redis.call('HEXISTS', KEYS[3], 'cut') == 1 then
  local last = redis.call('ZRANGE', KEYS[4], -1, -1)[1] or ''
  if last < extent then
    extent = last
  end
end
for _, member in ipairs(redis.call('ZRANGE', KEYS[4], '-', '[' .. extent, 'BYLEX')) do
  if not redis.call('ZSCORE', KEYS[2], member) then
    redis.call('ZADD', KEYS[1], 0, member)
  end
end
if redis.call('ZCARD', KEYS[1]) > most then
  redis.call('ZREMRANGEBYRANK', KEYS[1], most, -1)
  extent = redis.call('ZRANGE', KEYS[1], -1, -1)[1]
end
redis.call('ZREMRANGEBYLEX', KEYS[1], '(' .. extent, '+')
redis.call('HSET', KEYS[3], 'extent', extent)
if is_last then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[3], 'looked', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HDEL', KEYS[3], 'look', 'ends', 'cut')
  redis.call('DEL', KEYS[4], KEYS[5])
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[3])
end
return 1
