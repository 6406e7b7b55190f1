//! The scripts of the operator's verbs, which change nothing.

/// Replies the server's identity and its mark, as [`super::REPORT`] does, but sets no mark. If
/// ARGV[1] is 1, a missing mark is replied as empty, which counts as one that [`super::REPORT`] has
/// just set.
pub(in super::super) const PEEK: &str = "\
local info = redis.pcall('INFO', 'server') \
if type(info) == 'table' then return info end \
local t = redis.pcall('TIME') \
if t.err then return {info, false} end \
local m = ARGV[1] == '1' and redis.pcall('GET', 'redlock-memory') \
if type(m) == 'table' then m = false \
elseif ARGV[1] == '1' and not m then m = '' end \
return {info, m, t[1], t[2]}";

/// The number of contenders in queue `q` that still listen, and the first of these with its score.
///
/// Only the first 1,000 places are read. Without the right to PUBSUB, all of them count.
macro_rules! waiting {
    () => {
        "\
local function waiting(q) \
  local w = redis.pcall('ZRANGE', q, 0, 999, 'WITHSCORES') \
  local count, first, score = 0, '', '0' \
  for j = 1, w.err and 0 or #w, 2 do \
    local heard = redis.pcall('PUBSUB', 'NUMSUB', 'redlock-wake:' .. w[j]) \
    if heard.err or heard[2] ~= 0 then \
      count = count + 1 \
      if first == '' then first, score = w[j], string.format('%.0f', w[j + 1]) end \
    end \
  end \
  return count, first, score \
end "
    };
}

/// Replies the value (empty if it is no string) and the PTTL of each of KEYS. Then, for each queue
/// in ARGV, replies the number of contenders that still listen, and the first of these with its
/// score.
pub(in super::super) const OBSERVE: &str = concat!(
    get!(),
    waiting!(),
    "\
local r = {} \
for i = 1, #KEYS do \
  local v = get(KEYS[i]) \
  if type(v) == 'table' then return {err = v.err .. ' (GET)'} end \
  r[#r + 1] = string.sub(v or '', 1, 4096) \
  r[#r + 1] = redis.call('PTTL', KEYS[i]) \
end \
for i = 1, #ARGV do \
  local count, first, score = waiting(ARGV[i]) \
  r[#r + 1] = count r[#r + 1] = first r[#r + 1] = score \
end \
return r"
);

/// One page of all keys that fit the glob ARGV[2], from the cursor ARGV[1] on, over about ARGV[3]
/// keys. Replies the next cursor, then key, value, PTTL and number of contenders of each lock.
///
/// A helper key is no lock, and neither is a key that is no string. A key that may not be read, or
/// that has just expired, is left out.
pub(in super::super) const LIST: &str = concat!(
    waiting!(),
    "\
local s = redis.pcall('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3]) \
if s.err then return {err = s.err .. ' (SCAN)'} end \
local r = {s[1]} \
for i = 1, #s[2] do \
  local k = s[2][i] \
  local v = string.sub(k, 1, 8) ~= 'redlock-' and redis.pcall('GET', k) \
  local left = type(v) == 'string' and redis.pcall('PTTL', k) \
  if type(left) == 'number' and left ~= -2 then \
    r[#r + 1] = k r[#r + 1] = string.sub(v, 1, 4096) r[#r + 1] = left \
    r[#r + 1] = (waiting('redlock-queue:' .. k)) \
  end \
end \
return r"
);

/// Tries the commands that redlock uses on KEYS[1], which does not exist, and on the helper keys of
/// that key, each in a form that changes nothing. The mark may exist, so only GET is tried on it,
/// and a PEXPIRE without a number if ARGV[1] is 1.
///
/// Replies for each refused command: the pattern of the keys or channels, empty for keys of locks;
/// the command; the error.
pub(in super::super) const RIGHTS: &str = "\
local r, k = {}, KEYS[1] \
local q, f = 'redlock-queue:' .. k, 'redlock-fence:' .. k \
local queues, fences, mark = 'redlock-queue:*', 'redlock-fence:*', 'redlock-memory' \
local function try(on, ...) \
  local v = redis.pcall(...) \
  if type(v) == 'table' and v.err and not string.find(v.err, 'not an integer', 1, true) then \
    r[#r + 1] = on r[#r + 1] = select(1, ...) r[#r + 1] = v.err \
  end \
end \
try('', 'SET', k, '', 'XX') try('', 'GET', k) try('', 'PTTL', k) try('', 'PEXPIRE', k, 1) try('', 'DEL', k) \
try('', 'INFO', 'server') try('', 'TIME') \
if ARGV[1] == '1' then try(mark, 'GET', mark) try(mark, 'PEXPIRE', mark, 'x') end \
try(queues, 'ZADD', q, 'XX', 1, 'x') try(queues, 'ZREM', q, 'x') try(queues, 'ZRANK', q, 'x') \
try(queues, 'ZPOPMIN', q) try('redlock-wake:*', 'PUBLISH', 'redlock-wake:' .. k, '') \
try('', 'SCAN', 0, 'COUNT', 1) try(queues, 'ZRANGE', q, 0, 0) try('', 'PUBSUB', 'NUMSUB') \
try(fences, 'GET', f) try(fences, 'SET', f, '', 'XX') \
return r";
