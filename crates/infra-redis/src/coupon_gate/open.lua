-- Opens the gate, unless it was opened later, or closed for later terms.
-- KEYS: gate, holders, pending, free, holders that were brought here before.
-- ARGV: first ticket, the one after the last, starts, ends (microseconds), when it can be forgotten (milliseconds), the
-- coupon and the version of its terms.
local first, coupon, version = unpack(redis.call('HMGET', KEYS[1], 'first', 'coupon', 'version'))
if coupon == ARGV[6] then
  local there, this = tonumber(version), tonumber(ARGV[7])
  if there > this or (there == this and first and tonumber(first) >= tonumber(ARGV[1])) then
    redis.call('UNLINK', KEYS[5])
    return 0
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('RENAME', KEYS[5], KEYS[2])
  redis.call('PEXPIREAT', KEYS[2], ARGV[5])
end
redis.call('HSET', KEYS[1], 'first', ARGV[1], 'next', ARGV[1], 'end', ARGV[2], 'starts', ARGV[3], 'ends', ARGV[4],
  'expires', ARGV[5], 'coupon', ARGV[6], 'version', ARGV[7])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return 1
