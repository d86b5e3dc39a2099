-- Raises cells to what an instance knows of them. Doing so again changes nothing.
--
-- KEYS: state, then cells
-- ARGV: era, then three per cell: nanoseconds ahead of requests, tokens and money
-- Answer: 1, now, then three per cell: what was ahead of them before
--        -1, now: this is not the count that the instance knows
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] then
  return {-1, now}
end
local answer = {1, now}
for number = 2, #KEYS do
  local cell = load(KEYS[number])
  local is_raised = false
  for at, kind in ipairs({'r', 't', 'm'}) do
    answer[#answer + 1] = cell[kind]
    local known = tonumber(ARGV[3 * number - 5 + at])
    if known > cell[kind] then
      cell[kind] = known
      is_raised = true
    end
  end
  if is_raised then
    save(cell)
  end
end
return answer
