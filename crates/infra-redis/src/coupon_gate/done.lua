-- Ends the lead, if it is still the caller's. KEYS: lead. ARGV: the caller's mark.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
