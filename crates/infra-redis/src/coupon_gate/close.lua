-- Closes the gate, unless it was opened or closed for these or later terms. What is left keeps openings for earlier ones out.
-- KEYS: gate, holders, pending, free. ARGV: coupon, version, for how long that is kept (milliseconds).
local coupon, version = unpack(redis.call('HMGET', KEYS[1], 'coupon', 'version'))
if coupon == ARGV[1] and tonumber(version) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'coupon', ARGV[1], 'version', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
