-- Notes what became of claims.
-- KEYS: gate, holders, pending, free. ARGV: for each claim its user, its ticket, and the ticket that the user holds or
-- an empty text, then 1 if the claim's own ticket is free again.
local first, tickets_end, expires = unpack(redis.call('HMGET', KEYS[1], 'first', 'end', 'expires'))
if not first then
  return 0
end
for i = 1, #ARGV, 4 do
  local user, ticket, held, unused = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local waited_for = redis.call('HGET', KEYS[2], user) == ticket and redis.call('ZREM', KEYS[3], user) == 1
  if waited_for then
    redis.call('HDEL', KEYS[2], user)
  end
  -- Who is waited for with another ticket is settled with that.
  if held ~= '' and not redis.call('ZSCORE', KEYS[3], user) then
    redis.call('HSET', KEYS[2], user, held)
  end
  local number = tonumber(ticket)
  if waited_for and unused == '1' and number >= tonumber(first) and number < tonumber(tickets_end) then
    redis.call('ZADD', KEYS[4], number, ticket)
    redis.call('PEXPIREAT', KEYS[4], expires)
  end
end
redis.call('PEXPIREAT', KEYS[2], expires)
return 1
