-- An epoch ends: its places are free.
--
-- KEYS: living instances
-- ARGV: epoch
return redis.call('ZREM', KEYS[1], ARGV[1])
