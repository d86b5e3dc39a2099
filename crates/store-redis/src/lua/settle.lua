-- Takes back what was not used, and enters what is owed.
--
-- KEYS: state, then cells and sets of places
-- ARGV: era, then six per return: number of its key, what (u: unused, o: owed, p: a place), kind, nanoseconds or
--       member, and of what was not used the end of its interval: microseconds, and nanoseconds beyond
-- Answer: 1, now, then three per key: nanoseconds ahead of requests, tokens and money
--        -1, now: this is not the count that the instance knows
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] then
  return {-1, now}
end
local cells = {}
for at = 2, #ARGV, 6 do
  local number, what, kind = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  if what == 'p' then
    redis.call('ZREM', KEYS[number], ARGV[at + 3])
  else
    local cell = cells[number]
    if not cell then
      cell = load(KEYS[number])
      cells[number] = cell
    end
    local length = tonumber(ARGV[at + 3])
    if what == 'o' then
      cell[kind] = math.min(cell[kind] + length, 4503599627370496)
    else
      -- What has drained was used, by whomever.
      local to_come = (tonumber(ARGV[at + 4]) - now) * 1000 + tonumber(ARGV[at + 5])
      cell[kind] = math.max(0, cell[kind] - math.max(0, math.min(to_come, length)))
    end
  end
end
local answer = {1, now}
for number = 2, #KEYS do
  local cell = cells[number]
  if cell then
    save(cell)
  end
  answer[#answer + 1] = cell and cell.r or 0
  answer[#answer + 1] = cell and cell.t or 0
  answer[#answer + 1] = cell and cell.m or 0
end
return answer
