"""What Redis must do in one step, in its own language. All may be sent twice: the second time changes nothing.

The scripts find other owners' keys by themselves, so they need one Redis (with replicas, if you like), not a cluster.
"""

from __future__ import annotations

CREATE = b"""
-- KEYS tape, key, owned, stored; ARGV id, begin, taken (empty: no key), seconds to live (ms), stored or empty
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
if ARGV[3] ~= '' then
  local taken = redis.call('GET', KEYS[2])
  if taken and taken ~= ARGV[3] then return taken end
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
redis.call('XADD', KEYS[1], '1-0', 'H', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[1])
if ARGV[5] ~= '' then
  local now = redis.call('TIME')
  redis.call('ZADD', KEYS[4], now[1] * 1000000 + now[2], ARGV[1])
end
return false
"""
"""Nil: it is ours. A text: the key is in use, by this."""

END = b"""
-- KEYS tape, owned, gone, metadata, key; ARGV entry id, id, tenant's mark, taken, ms kept, ms remembered, fields...
local made = redis.call('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1], unpack(ARGV, 7))
if not made then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[6])
if redis.call('GET', KEYS[5]) == ARGV[4] then redis.call('PEXPIRE', KEYS[5], ARGV[6]) end
redis.call('SREM', KEYS[2], ARGV[2])
return made
"""
"""The last entry, and everything that follows from it."""

TOPS = b"""
-- KEYS tapes
local tops = {}
for at, tape in ipairs(KEYS) do
  local newest = redis.call('XREVRANGE', tape, '+', '-', 'COUNT', 1)
  tops[at] = newest[1] and newest[1][1] or false
end
return tops
"""
"""The id of each tape's newest entry."""

CLAIM = b"""
-- KEYS tape, the dead owner's lease, its owned, our owned; ARGV id, fence, begin
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 0 then return 0 end
local made = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', ARGV[2], 'H', ARGV[3])
if not made then
  redis.call('SREM', KEYS[3], ARGV[1])
  return 0
end
if type(made) == 'table' and made.err then return 0 end
redis.call('SMOVE', KEYS[3], KEYS[4], ARGV[1])
return 1
"""
"""1: the tape is ours, from the fence on."""

RENEW = b"""
-- KEYS lease, owners, ear; ARGV owner, ms, ms of the ear
local kept = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('XADD', KEYS[3], '*', 'm', '') end
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return kept
"""
"""0: others thought us dead for a while."""

BURY = b"""
-- KEYS lease, owned, owners, ear; ARGV owner
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
return 1
"""
"""Forgets a dead owner that has nothing left."""

RELEASE = b"""
-- KEYS lease, owned, owners, ear, orphans; ARGV owner
redis.call('SUNIONSTORE', KEYS[5], KEYS[5], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
"""
"""The owner goes, and leaves what it has to anybody."""

DELETE = b"""
-- KEYS tape, metadata, key, stored, owners, cancelled, gone; ARGV id, taken, message, prefix
redis.call('DEL', KEYS[1], KEYS[2], KEYS[6], KEYS[7])
if redis.call('GET', KEYS[3]) == ARGV[2] then redis.call('DEL', KEYS[3]) end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', ARGV[4] .. 'owned:orphans', ARGV[1])
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  redis.call('SREM', ARGV[4] .. 'owned:' .. owner, ARGV[1])
  redis.call('XADD', ARGV[4] .. 'ear:' .. owner, 'NOMKSTREAM', 'MAXLEN', '~', '1000', '*', 'm', ARGV[3])
end
return 1
"""

FORGET_KEY = b"""
-- KEYS key, owners; ARGV id, taken, us, prefix
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
if redis.call('SISMEMBER', ARGV[4] .. 'owned:orphans', ARGV[1]) == 1 then return 0 end
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if owner ~= ARGV[3] and redis.call('SISMEMBER', ARGV[4] .. 'owned:' .. owner, ARGV[1]) == 1 then return 0 end
end
return redis.call('DEL', KEYS[1])
"""
"""Not while another owner goes on with its tape: who was thought dead has no say."""

ANNOTATE = b"""
-- KEYS tape, metadata; ARGV metadata
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
return 1
"""
