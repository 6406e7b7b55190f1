//! The scripts of the fence. A test compares them with their rule in
//! [`crate::lock::FenceRegister`].
//!
//! KEYS are the keys of one lock, and then their counters. A counter is `TOKEN NONCE RUN_ID`, with
//! `-` if the `run_id` was not requested. A text of another form is no counter. A counter expires
//! 30 days after it was raised.

/// Reads the counters into `held`: the token, the nonce, and whether the server has kept the
/// counter since it was raised. Without a `run_id`, every counter counts as kept.
macro_rules! counters {
    () => {
        "\
local n = #KEYS / 2 \
local run, held = '-', {} \
if guard == '1' then \
  local info = redis.pcall('INFO', 'server') \
  if type(info) == 'table' then return {err = info.err .. ' (INFO)'} end \
  run = string.match(info, 'run_id:(%w+)') \
  if not run then return {err = 'ERR INFO tells no run_id, so a restart could not be seen; see --restart-guard'} end \
end \
local most = 0 \
for i = 1, n do \
  local c = get(KEYS[n + i]) \
  if type(c) == 'table' then return {err = c.err .. ' (GET)'} end \
  local t, by, of = string.match(c or '', '^(%d+) (%w+) (%w+)$') \
  if not t then t, by, of = string.match(c or '', '^(%d+) (%w+) (%-)$') end \
  t = tonumber(t) \
  if t and t >= 1 and t <= 9007199254740991 then \
    held[i] = {t, run == '-' or of == run} \
    if t >= token and not (t == token and by == nonce) and t > most then most = t end \
  end \
end \
if most > 0 then return {1, most} end "
    };
}

/// Writes one counter. Returns the error of the server, if any.
macro_rules! write {
    () => {
        "\
local function write(key, run, token, nonce) \
  local r = redis.pcall('SET', key, token .. ' ' .. nonce .. ' ' .. run, 'PX', 2592000000) \
  if r.err then return {err = r.err .. ' (SET)'} end \
end "
    };
}

/// Acquires as [`super::ACQUIRE`] does, if every counter is below the token ARGV[3]. Also raises
/// the counters, except for those that are lacking.
///
/// ARGV is the value, the TTL, the token, the nonce, and 1 with a restart guard. Replies OK; nil if
/// a key exists; 1 with the largest counter that is not below the token; or 2 with the number and
/// the earlier token of each lacking counter.
pub(in super::super) const PROPOSE: &str = concat!(
    get!(),
    write!(),
    "\
local function refused(...) \
  local r = redis.pcall(...) \
  if type(r) == 'table' and r.err then return {err = r.err .. ' (' .. select(1, ...) .. ')'} end \
end \
for i = 1, #KEYS / 2 do \
  local v = get(KEYS[i]) \
  if type(v) == 'table' then return {err = v.err .. ' (GET)'} end \
  if v then \
    local no = refused('PEXPIRE', KEYS[i], 'x') \
    if no and not string.find(no.err, 'not an integer', 1, true) then return no end \
    return refused('PTTL', KEYS[i]) or false \
  end \
end \
local token, nonce, guard = tonumber(ARGV[3]), ARGV[4], ARGV[5] ",
    counters!(),
    "\
for i = 1, n do \
  local k = KEYS[i] \
  local no = refused('SET', k, '', 'XX') or refused('PTTL', k) or refused('DEL', k) \
    or refused('PEXPIRE', k, 1) \
  if no then return no end \
end \
local no \
for i = 1, n do no = no or refused('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2]) end \
local lacking = {2} \
for i = 1, n do \
  if held[i] and held[i][2] then \
    no = no or write(KEYS[n + i], run, ARGV[3], nonce) \
  else \
    lacking[#lacking + 1] = i - 1 \
    lacking[#lacking + 1] = held[i] and held[i][1] or 0 \
  end \
end \
if no then \
  for i = 1, n do redis.pcall('DEL', KEYS[i]) end \
  return no \
end \
if #lacking > 1 then return lacking end \
return redis.status_reply('OK')"
);

/// Writes the lacking counters, whose numbers are ARGV[5] and on. Condition: every key has the
/// value ARGV[1], and every counter is below the token ARGV[2] or was raised to it by the same
/// attempt.
///
/// ARGV is the value, the token, the nonce, 1 with a restart guard, and the counters. Replies OK;
/// nil if a key has another value; or 1 with the largest counter that is not below the token.
pub(in super::super) const RAISE: &str = concat!(
    get!(),
    write!(),
    "\
for i = 1, #KEYS / 2 do \
  local v = get(KEYS[i]) \
  if type(v) == 'table' then return {err = v.err .. ' (GET)'} end \
  if v ~= ARGV[1] then return false end \
end \
local token, nonce, guard = tonumber(ARGV[2]), ARGV[3], ARGV[4] ",
    counters!(),
    "\
for j = 5, #ARGV do \
  local no = write(KEYS[n + ARGV[j] + 1], run, ARGV[2], nonce) \
  if no then return no end \
end \
return redis.status_reply('OK')"
);
