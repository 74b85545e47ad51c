-- Takes one request off a quota, by GCRA: all that is kept is the moment when the quota is whole again, in
-- microseconds of the server's clock, so that the clocks of the instances do not matter.
--
-- KEYS[1]  the quota's key
-- ARGV[1]  the emission interval: microseconds after which one request is given back, 1 or more
-- ARGV[2]  the burst: microseconds after which a used up quota is whole again, a multiple of the interval
--
-- Returns {1 if the request is let through, else 0; how many more there may be at once; microseconds until the quota is
-- whole again; microseconds until another request is let through, 0 if this one was}. A refused request costs nothing.
-- The key expires when the quota is whole again, which a missing key means as well.
--
-- Microseconds since 1970 are whole numbers within a double until the year 2255. They are written with %.0f, as Lua
-- would shorten them.

local interval = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- What was taken from a larger quota, before it was cut, or by a clock that was ahead, is not held against anybody.
local whole_at = tonumber(redis.call('GET', KEYS[1]) or '') or now
local used = math.min(math.max(whole_at - now, 0), burst)
local used_after = used + interval
if used_after > burst then
  return {0, 0, used, used_after - burst}
end
redis.call('SET', KEYS[1], string.format('%.0f', now + used_after), 'PX', math.ceil(used_after / 1000))
return {1, math.floor((burst - used_after) / interval), used_after, 0}
