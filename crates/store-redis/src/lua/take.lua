-- Takes all that is wanted, in that order, or nothing.
--
-- KEYS: state, living instances, then cells and sets of places
-- ARGV: era, epoch, then four per want: number of its key, kind (r, t, m, p), nanoseconds or the most places, member
-- Answer: 1, now, count, then nanoseconds ahead per want of a rate
--         0, now, count, number of the want without room, what is taken there
--        -1, now: this is not the count that the instance knows, or the instance was taken for dead
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return {-1, now}
end
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)

-- Takes the places of dead instances away: epochs that do not live.
local function sweep(key)
  local after = '-inf'
  while true do
    local first = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[2] then
      return redis.call('ZCARD', key)
    end
    local epoch = whole(tonumber(first[2]))
    if not redis.call('ZSCORE', KEYS[2], epoch) then
      redis.call('ZREMRANGEBYSCORE', key, epoch, epoch)
    end
    after = '(' .. epoch
  end
end

local answer = {1, now, count}
local cells, places = {}, {}
for at = 3, #ARGV, 4 do
  local number, kind, amount = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local key = KEYS[number]
  if kind == 'p' then
    local taken = redis.call('ZCARD', key)
    if taken >= amount then
      taken = sweep(key)
    end
    if taken >= amount then
      return {0, now, count, (at - 3) / 4, taken}
    end
    places[#places + 1] = {key, ARGV[at + 3]}
  else
    local cell = cells[number]
    if not cell then
      cell = load(key)
      cells[number] = cell
    end
    local ahead = cell[kind] + amount
    if ahead > 60000000000 then
      return {0, now, count, (at - 3) / 4, cell[kind]}
    end
    cell[kind] = ahead
    answer[#answer + 1] = ahead
  end
end
for _, cell in pairs(cells) do
  save(cell)
end
for _, place in ipairs(places) do
  redis.call('ZADD', place[1], ARGV[2], place[2])
  redis.call('EXPIRE', place[1], 86400)
end
return answer
