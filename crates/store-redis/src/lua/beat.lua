-- A sign of life, and a look at who else gives one.
--
-- KEYS: state, living instances
-- ARGV: era, epoch, lease in microseconds
-- Answer: 1, now, count, living instances
--        -1, now: this is not the count that the instance knows, or the instance was taken for dead
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return {-1, now}
end
redis.call('ZADD', KEYS[2], whole(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - tonumber(ARGV[3])))
return {1, now, redis.call('HINCRBY', KEYS[1], 'count', 1), redis.call('ZCARD', KEYS[2])}
