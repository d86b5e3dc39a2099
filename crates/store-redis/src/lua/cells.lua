-- What every script begins with: the clock, and the cells of rates.
--
-- A rate is counted as in `weighbridge-access`, by the time that what was taken needs to drain. A cell is a hash: `at` is
-- when it was last touched, in microseconds; `r`, `t` and `m` are what requests, tokens and money had ahead of them
-- then, in nanoseconds. Whoever asks has turned units into nanoseconds, so that limits need not be known here, and
-- every number is a whole one below 2^53.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function whole(number)
  return string.format('%.0f', number)
end

local function load(key)
  local found = redis.call('HMGET', key, 'at', 'r', 't', 'm')
  local at = tonumber(found[1]) or now
  if at > now then
    -- The clock was set back: the cell goes on from here, or it would drain only when the clock is there again.
    at = now
    redis.call('HSET', key, 'at', whole(now))
  end
  local gone = (now - at) * 1000
  return {
    key = key,
    r = math.max(0, (tonumber(found[2]) or 0) - gone),
    t = math.max(0, (tonumber(found[3]) or 0) - gone),
    m = math.max(0, (tonumber(found[4]) or 0) - gone),
  }
end

local function save(cell)
  redis.call('HSET', cell.key, 'at', whole(now), 'r', whole(cell.r), 't', whole(cell.t), 'm', whole(cell.m))
  local drained = math.max(cell.r, cell.t, cell.m) / 1000000
  redis.call('PEXPIRE', cell.key, whole(math.ceil(drained) + 1000))
end
