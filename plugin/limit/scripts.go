package limit

import (
	"errors"

	goredis "github.com/redis/go-redis/v9"
)

// The scripts run as a whole on the server, so that gateways cannot pass a
// limit together. All go by the server's clock. Each checks everything before
// it writes anything. Numbers are below 2^53, which Lua keeps exact.

var errAnswer = errors.New("redis gave an answer that makes no sense")

// Arguments of both scripts for windows: need, cost, and for each key its limit
// and its size in milliseconds. The answer is the number of the first key
// without room or 0, and for each key that was looked at: used, used in the
// window before, milliseconds until the window ends.

// A fixed window is a number that expires with it.
const fixedText = `
local need, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local out, fresh = {0}, {}
for i, key in ipairs(KEYS) do
  local limit, size = tonumber(ARGV[2*i+1]), tonumber(ARGV[2*i+2])
  local left, used = redis.call('PTTL', key), 0
  if left > 0 then
    used = tonumber(redis.call('GET', key))
  else
    left, fresh[i] = size, true
  end
  out[3*i-1], out[3*i], out[3*i+1] = used, 0, left
  if used + need > limit then
    out[1] = i
    return out
  end
end
for i, key in ipairs(KEYS) do
  if fresh[i] then
    redis.call('SET', key, ARGV[2], 'PX', ARGV[2*i+2])
  elseif cost > 0 then
    redis.call('INCRBY', key, ARGV[2])
  end
  out[3*i-1] = out[3*i-1] + cost
end
return out`

// A sliding window is a hash: e when it ends, c what it has used, p what the
// one before has.
const slidingText = `
local need, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local out, ends = {0}, {}
for i, key in ipairs(KEYS) do
  local limit, size = tonumber(ARGV[2*i+1]), tonumber(ARGV[2*i+2])
  local h = redis.call('HMGET', key, 'e', 'c', 'p')
  local e, used, prev = tonumber(h[1] or 0), tonumber(h[2] or 0), tonumber(h[3] or 0)
  local stop = now - now % size + size
  if e <= now - size then
    used, prev = 0, 0
  elseif e <= now then
    used, prev = 0, used
  end
  ends[i] = stop
  out[3*i-1], out[3*i], out[3*i+1] = used, prev, stop - now
  local before = math.min(prev, limit) / size * (stop - now)
  if used + need > limit or before + used + need >= limit + 1 then
    out[1] = i
    return out
  end
end
for i, key in ipairs(KEYS) do
  local used = out[3*i-1] + cost
  redis.call('HSET', key, 'e', string.format('%.0f', ends[i]), 'c', string.format('%.0f', used), 'p', string.format('%.0f', out[3*i]))
  redis.call('PEXPIRE', key, string.format('%.0f', out[3*i+1] + tonumber(ARGV[2*i+2])))
  out[3*i-1] = used
end
return out`

// Arguments: rate and burst. The answer: 1 if the request may pass, and its
// excess in millionths of a request. A bucket is a hash: e its excess, t when
// that was; it is forgotten when it has leaked so far that it means none.
const bucketText = `
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local h = redis.call('HMGET', KEYS[1], 'e', 't')
local excess = 0
if h[1] and h[2] then
  excess = math.max(tonumber(h[1]) - rate * math.max(now - tonumber(h[2]), 0) / 1000 + 1, 0)
  if excess > burst then
    return {0, 0}
  end
end
redis.call('HSET', KEYS[1], 'e', string.format('%.6f', excess), 't', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(math.ceil((excess + 1) / rate * 1000) + 1, 31536000000)))
return {1, math.floor(excess * 1000000)}`

// Arguments: the request's id, the milliseconds after which it counts as gone
// whatever happens, and for each key how many may be under way. The answer:
// the number of the first key that is full or 0, and for each key that was
// looked at how many are under way, with this one. A key is a set of ids by
// the moment when they expire.
const slotsText = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local out = {0}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  out[i+1] = redis.call('ZCARD', key) + 1
  if out[i+1] > tonumber(ARGV[i+2]) then
    out[1] = i
    return out
  end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return out`

var (
	fixedScript   = goredis.NewScript(fixedText)
	slidingScript = goredis.NewScript(slidingText)
	bucketScript  = goredis.NewScript(bucketText)
	slotsScript   = goredis.NewScript(slotsText)
)
