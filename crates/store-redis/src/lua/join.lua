-- Makes an instance known, and begins a new count where there is none or the known one cannot be trusted.
--
-- KEYS: state, living instances
-- ARGV: epoch, lease in microseconds, era to begin, microseconds until it is asked, era that is known or '',
--       the highest count that is known of it, era that is to be replaced or '', the instance's former epoch
-- Answer: now, era, when it may be asked, count, living instances
local found = redis.call('HMGET', KEYS[1], 'era', 'count', 'ready')
local era, count, ready = found[1], tonumber(found[2]) or 0, tonumber(found[3]) or 0
local went_back = era == ARGV[5] and count < tonumber(ARGV[6])
if not era or era == ARGV[7] or went_back then
  era, count, ready = ARGV[3], math.max(count, tonumber(ARGV[6])), now + tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], 'era', era, 'count', whole(count), 'ready', whole(ready))
elseif ready > now + tonumber(ARGV[4]) then
  -- The clock was set back since.
  ready = now + tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], 'ready', whole(ready))
end
redis.call('ZADD', KEYS[2], whole(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - tonumber(ARGV[2])))
local living = redis.call('ZCARD', KEYS[2])
if redis.call('ZSCORE', KEYS[2], ARGV[8]) then
  living = living - 1
end
return {now, tonumber(era), ready, count, living}
