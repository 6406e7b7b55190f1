//! The scripts. Each script is one command and one atomic step on the instance.
//!
//! Scripts are sent whole (EVAL). With hashes (EVALSHA), a restarted server would request the
//! script again, which costs a round trip when there is no time left. EVALSHA also needs the right
//! to one more command.
//!
//! KEYS are the keys of one lock. Commands that serve only contenders use `pcall`, and their keys
//! are not declared: a user without the rights to these keys can still hold and release.

/// The value of a key: false for a missing key, empty if the key is no string, the error if the key
/// may not be read.
macro_rules! get {
    () => {
        "\
local function get(key) \
  local v = redis.pcall('GET', key) \
  if type(v) == 'table' and string.find(v.err, 'WRONGTYPE', 1, true) then return '' end \
  return v \
end "
    };
}

/// Whether the value `v` is a revocation of the value `own`: it begins with a header, and ends as `own`
/// does, whose token no other value has.
macro_rules! revoked {
    () => {
        "\
local function revoked(v, own) \
  return string.sub(v, 1, 11) == '{\"revoked\":' and string.sub(v, -#own) == ',' .. string.sub(own, 2) \
end "
    };
}

/// Sets all of KEYS to ARGV[1] for ARGV[2] ms if none of KEYS exists. Sets none if one of KEYS is
/// refused.
///
/// A key is set only after every command of the scripts [`EXTEND`] and [`RELEASE`] was permitted on
/// the key: a missing right or a renamed command leaves no key behind that cannot be deleted. On a
/// missing key these commands change nothing. `SET … XX` comes first, because Redis 6.2 checks its
/// memory only before the first write of a script. On the key of another holder only a PEXPIRE
/// without a number is tried, which changes nothing. For DEL, [`RELEASE`] has a substitute.
///
/// After a reply without an error on a connection, `SET … NX PX` is enough for a single key.
///
/// ARGV[3] loses its place in the queues ARGV[4] and on: with slots, another contender is woken
/// while ARGV[3] holds a slot. Replies OK, nil if a key exists, or the error with the name of the
/// refused command.
pub(super) const ACQUIRE: &str = concat!(
    get!(),
    "\
local function refused(...) \
  local r = redis.pcall(...) \
  if type(r) == 'table' and r.err then return {err = r.err .. ' (' .. select(1, ...) .. ')'} end \
end \
for i = 1, #KEYS do \
  local v = get(KEYS[i]) \
  if type(v) == 'table' then return {err = v.err .. ' (GET)'} end \
  if v then \
    local no = refused('PEXPIRE', KEYS[i], 'x') \
    if no and not string.find(no.err, 'not an integer', 1, true) then return no end \
    return refused('PTTL', KEYS[i]) or false \
  end \
end \
for i = 1, #KEYS do \
  local k = KEYS[i] \
  local no = refused('SET', k, '', 'XX') or refused('PTTL', k) or refused('DEL', k) \
    or refused('PEXPIRE', k, 1) \
  if no then return no end \
end \
for i = 1, #KEYS do \
  local no = refused('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2]) \
  if no then \
    for j = 1, i - 1 do redis.call('DEL', KEYS[j]) end \
    return no \
  end \
end \
for j = 4, #ARGV do redis.pcall('ZREM', ARGV[j], ARGV[3]) end \
return redis.status_reply('OK')"
);

/// Extends each of KEYS by ARGV[2] ms if its value is ARGV[1]. If ARGV[3] is 1, sets a missing key
/// again.
///
/// An existing key is extended with PEXPIRE: SET is refused when memory is full. Replies the worst
/// of 1 kept, 2 set again, 3 missing, 4 held by another value. Also replies the instance's TIME, or
/// false without the right to TIME, and the revocation if that is the other value. A revocation is
/// not extended: it ends with the lease of the holder.
pub(super) const EXTEND: &str = concat!(
    get!(),
    revoked!(),
    "\
local t = redis.pcall('TIME') \
if t.err then t = {} end \
local worst, by = 1, nil \
for i = 1, #KEYS do \
  local v, c = get(KEYS[i]), 1 \
  if type(v) == 'table' then return v end \
  if v == ARGV[1] then redis.call('PEXPIRE', KEYS[i], ARGV[2]) \
  elseif v then \
    c = 4 \
    if revoked(v, ARGV[1]) then by = string.sub(v, 1, 4096) end \
  elseif ARGV[3] ~= '1' then c = 3 \
  else \
    local r = redis.pcall('SET', KEYS[i], ARGV[1], 'PX', ARGV[2]) \
    c = r.err and 3 or 2 \
  end \
  if c > worst then worst = c end \
end \
return {worst, t[1] or false, t[2] or false, by}"
);

/// Replies the identity of the server (`INFO server`, unless ARGV[2] is its `run_id`) and its mark.
/// Sets the mark if there is none of this start of the server: `run_id`, TIME and ARGV[1], the
/// client's clock, both in µs. Without ARGV[1] there is no mark. The mark does not expire: the mark
/// exists as long as the keys that were set before.
///
/// A mark later than the present is replaced, since its age would not grow. Cause of such a mark:
/// the server's clock was set back, or the client that set the mark was ahead. A client finds its
/// predecessor ahead only if its own clock is within 10 s of the server's.
///
/// Replies the `INFO server` text or false, the mark or false if no mark can be set, and TIME.
pub(super) const REPORT: &str = "\
local info, run = false, ARGV[2] \
if run == '' then \
  info = redis.pcall('INFO', 'server') \
  if type(info) == 'table' then return info end \
  run = string.match(info, 'run_id:(%w+)') or '' \
end \
local t = redis.pcall('TIME') \
if t.err then return {info, false} end \
if ARGV[1] == '' or run == '' then return {info, false, t[1], t[2]} end \
local m = redis.pcall('GET', 'redlock-memory') \
if type(m) == 'table' then return {info, false, t[1], t[2]} end \
local now, host = t[1] * 1000000 + t[2], tonumber(ARGV[1]) \
local by, server, client = string.match(m or '', '^(%w+) (%d+) (%d+)$') \
local ahead = client and math.abs(now - host) < 10000000 and tonumber(client) > host + 10000000 \
if by ~= run or tonumber(server) > now or ahead then \
  m = run .. ' ' .. t[1] .. string.format('%06d', t[2]) .. ' ' .. ARGV[1] \
  if redis.pcall('SET', 'redlock-memory', m).err then m = false end \
end \
return {info, m, t[1], t[2]}";

/// Wakes the first contender of queue `q` that still listens, and publishes that `key` is free.
///
/// A woken contender loses its place, and takes the same place again with its next status request.
/// A second slot therefore wakes the next contender, and a frozen contender swallows one wake-up
/// and not all. Dead contenders are removed in batches, up to a bound that blocks the server for at
/// most some tenths of a second. Without the right to wake, the queue stays unchanged.
macro_rules! wake {
    () => {
        "\
local function wake(q, key) \
  local most = 1 \
  for _ = 1, 1000 do \
    local w = redis.pcall('ZPOPMIN', q, most) \
    if w.err or not w[1] then return end \
    most = 100 \
    for i = 1, #w, 2 do \
      local heard = redis.pcall('PUBLISH', 'redlock-wake:' .. w[i], key) \
      if heard ~= 0 then \
        local back = {} \
        local from = i + 2 \
        if type(heard) ~= 'number' then from = i end \
        for j = from, #w, 2 do \
          back[#back + 1] = w[j + 1] \
          back[#back + 1] = w[j] \
        end \
        if back[1] then \
          redis.pcall('ZADD', q, unpack(back)) \
          redis.pcall('PEXPIRE', q, 3600000) \
        end \
        return \
      end \
    end \
  end \
end "
    };
}

mod fence;
mod operator;
mod revoke;

pub(super) use fence::{PROPOSE, RAISE};
pub(super) use operator::{LIST, OBSERVE, PEEK, RIGHTS};
pub(super) use revoke::REVOKE;

/// Deletes each of KEYS if its value is ARGV[1]. If ARGV[3] is above 0, the key stays set for
/// ARGV[3] ms instead. A key that may not be deleted expires at once. A revocation of ARGV[1] is
/// deleted in any case: the command that it waits for has ended.
///
/// ARGV[2] is the run that leaves, or empty. The run loses its place in the queues ARGV[4] and on.
/// The next contender of each queue is woken if the key is free now, or will be free sooner than
/// was known. Replies 0, or value and PTTL of a key of another holder. The value is empty if the
/// key is no string.
pub(super) const RELEASE: &str = concat!(
    get!(),
    revoked!(),
    wake!(),
    "\
local other = 0 \
local free = {} \
for i = 1, #KEYS do \
  local v = get(KEYS[i]) \
  if type(v) == 'table' then return v end \
  free[i] = true \
  local ended = v and revoked(v, ARGV[1]) \
  if ended or v == ARGV[1] then \
    if ended or ARGV[3] == '0' then \
      local no = redis.pcall('DEL', KEYS[i]) \
      if type(no) == 'table' then redis.pcall('PEXPIRE', KEYS[i], 0) return {err = no.err .. ' (DEL)'} end \
    else redis.call('PEXPIRE', KEYS[i], ARGV[3]) end \
  elseif v then \
    free[i] = false \
    if other == 0 then other = {string.sub(v, 1, 4096), redis.call('PTTL', KEYS[i])} end \
  end \
end \
if ARGV[2] ~= '' then \
  for j = 4, #ARGV do \
    redis.pcall('ZREM', ARGV[j], ARGV[2]) \
    if free[j - 3] then wake(ARGV[j], KEYS[j - 3]) end \
  end \
end \
return other"
);

/// Replies the blocker of KEYS. Also puts ARGV[1], if not empty, into the queue of the blocker.
///
/// ARGV[2] and ARGV[3] are the begin of the wait by the contender's wall clock, in µs, and the
/// length of the wait so far. If that clock is within a second of the instance's, the contender's
/// clock counts, and all instances have one order. Otherwise the instance's clock counts. ARGV[4]
/// is the part that is common to the lock values of all hosts that agree with this host: of several
/// blockers, a value without that part is replied first.
///
/// ARGV[5] and on are the queues. One queue serves all keys if any key suffices. If all keys are
/// needed, each key has a queue, and the contender waits in the queue of the first blocked key. The
/// next contenders of the other queues may have a free key. Replies the place in the queue or -1,
/// the value of the blocker, and the PTTL of each key (pttl: -2 is free).
pub(super) const WATCH: &str = concat!(
    get!(),
    wake!(),
    "\
local reply, way, odd = {-1, ''}, 1, nil \
for i = #KEYS, 1, -1 do \
  reply[i + 2] = redis.call('PTTL', KEYS[i]) \
  if reply[i + 2] ~= -2 then \
    way = i \
    local v = ARGV[4] ~= '' and get(KEYS[i]) \
    if type(v) == 'table' then return v end \
    if v and v ~= '' and not string.find(v, ARGV[4], 1, true) then odd = i end \
  end \
end \
local v = get(KEYS[odd or way]) \
if type(v) == 'table' then return v end \
if v then reply[2] = string.sub(v, 1, 4096) end \
if ARGV[1] == '' then return reply end \
local t, now = redis.pcall('TIME'), tonumber(ARGV[2]) \
if not t.err then \
  local own = t[1] * 1000000 + t[2] \
  if math.abs(own - now) > 1000000 then now = own end \
end \
for i = 1, #ARGV - 4 do \
  local q = ARGV[i + 4] \
  if #ARGV == 5 or i == way then \
    redis.pcall('ZADD', q, 'NX', now - ARGV[3], ARGV[1]) \
    redis.pcall('PEXPIRE', q, 3600000) \
    local place = redis.pcall('ZRANK', q, ARGV[1]) \
    if type(place) == 'number' then reply[1] = place end \
  else \
    redis.pcall('ZREM', q, ARGV[1]) \
    if reply[i + 2] == -2 then wake(q, KEYS[i]) end \
  end \
end \
return reply"
);
