-- Enters places that are taken, whoever has asked, and says which others the instance is entered with.
--
-- KEYS: state, living instances, then one set of places per owner
-- ARGV: era, epoch, then per place: number of its key, member
-- Answer: 1, places that were missing, then two per place of the epoch: number of its key, member
--        -1: this is not the count that the instance knows
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return {'-1'}
end
local missing = 0
for at = 3, #ARGV, 2 do
  local key = KEYS[tonumber(ARGV[at])]
  missing = missing + redis.call('ZADD', key, ARGV[2], ARGV[at + 1])
  redis.call('EXPIRE', key, 86400)
end
local answer = {'1', string.format("%d", missing)}
for number = 3, #KEYS do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[number], ARGV[2], ARGV[2])) do
    answer[#answer + 1] = string.format("%d", number)
    answer[#answer + 1] = member
  end
end
return answer
