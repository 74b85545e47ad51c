-- Whose claims are overdue, with their tickets; they are waited for anew.
-- KEYS: holders, pending. ARGV: now, until when they are waited for (microseconds), how many at most.
local users = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local overdue = {}
for _, user in ipairs(users) do
  redis.call('ZADD', KEYS[2], ARGV[2], user)
  local ticket = redis.call('HGET', KEYS[1], user)
  if ticket then
    overdue[#overdue + 1] = user
    overdue[#overdue + 1] = ticket
  end
end
return overdue
