-- Lets a claim in, or says why not. What a number of the answer means is in coupon_gate.rs.
-- KEYS: gate, holders, pending, free. ARGV: user, now, until when the claim is waited for (microseconds), the coupon and
-- the version of its terms that the caller knows of, or empty texts.
local starts, ends, tickets_end, expires, coupon, version =
  unpack(redis.call('HMGET', KEYS[1], 'starts', 'ends', 'end', 'expires', 'coupon', 'version'))
if not starts then
  return {'closed', false}
end
if ARGV[4] ~= '' and (coupon ~= ARGV[4] or tonumber(version) < tonumber(ARGV[5])) then
  return {'closed', false}
end
local user, now = ARGV[1], tonumber(ARGV[2])
if now < tonumber(starts) then
  return {'not-started', starts}
end
if now >= tonumber(ends) then
  return {'ended', ends}
end
local held = redis.call('HGET', KEYS[2], user)
if held then
  if redis.call('ZSCORE', KEYS[3], user) then
    return {'admitted', held}
  end
  return {'held', held}
end
local ticket = redis.call('ZPOPMIN', KEYS[4])[1]
if not ticket then
  local next = redis.call('HGET', KEYS[1], 'next')
  if tonumber(next) >= tonumber(tickets_end) then
    local due = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
    if due and tonumber(due) > now then
      return {'sold-out', false}
    end
    return {'exhausted', false}
  end
  redis.call('HINCRBY', KEYS[1], 'next', 1)
  ticket = next
end
redis.call('HSET', KEYS[2], user, ticket)
redis.call('ZADD', KEYS[3], ARGV[3], user)
-- Keys come and go with what is in them.
redis.call('PEXPIREAT', KEYS[2], expires)
redis.call('PEXPIREAT', KEYS[3], expires)
return {'admitted', ticket}
