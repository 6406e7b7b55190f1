//! The script of `redlock force-release`.

/// Finds one holder on KEYS, and takes the lock from this holder alone.
///
/// ARGV[1] is the action: `look` changes nothing, `revoke` replaces the value by a revocation,
/// `delete` deletes the key and wakes the next contender. The holder is the run with the public id
/// ARGV[2], compared inside the value, or the client that wrote the whole value ARGV[3]. ARGV[4] is
/// the header of the revocation, ARGV[5] its rest for the value of another client. ARGV[6] and on
/// are the queues, one for each key or one for all.
///
/// A revocation expires when the value would have expired, so that the key stays set as long as the
/// lease may last. PEXPIRE comes before SET, since a server whose memory is full refuses SET only
/// as the first write of a script.
///
/// Replies for each key: a code; the PTTL; the value after `look`. The codes: 0 no such holder, 1
/// found, 2 revoked, 3 revoked before, 4 deleted, 5 without expiry.
pub(in super::super) const REVOKE: &str = concat!(
    get!(),
    wake!(),
    "\
local function holder(v) \
  if not v or v == '' then return false end \
  if ARGV[2] == '' then return v == ARGV[3] and {} end \
  local ok, d = pcall(cjson.decode, v) \
  return ok and string.sub(v, 1, 1) == '{' and type(d) == 'table' and d.token and d.id == ARGV[2] and d \
end \
local r = {} \
for i = 1, #KEYS do \
  local k = KEYS[i] \
  local v = get(k) \
  if type(v) == 'table' then return {err = v.err .. ' (GET)'} end \
  local left, code = redis.call('PTTL', k), 0 \
  local d = holder(v) \
  if d then \
    code = 1 \
    if ARGV[1] == 'delete' then \
      local no = redis.pcall('DEL', k) \
      if type(no) == 'table' then redis.pcall('PEXPIRE', k, 0) return {err = no.err .. ' (DEL)'} end \
      wake(ARGV[5 + i] or ARGV[6], k) \
      code = 4 \
    elseif ARGV[1] == 'revoke' then \
      if left == -1 then left = tonumber(d.ttl_ms) or -1 end \
      if string.sub(v, 1, 11) == '{\"revoked\":' then code = 3 \
      elseif left == -1 then code = 5 \
      else \
        if left < 1 then left = 1 end \
        local new = ARGV[4] .. (ARGV[2] ~= '' and string.sub(v, 2) or ARGV[5]) \
        redis.call('PEXPIRE', k, left) \
        local no = redis.pcall('SET', k, new, 'PX', left) \
        if no.err then return {err = no.err .. ' (SET)'} end \
        code = 2 \
      end \
    end \
  end \
  r[#r + 1] = code r[#r + 1] = left r[#r + 1] = ARGV[1] == 'look' and v or '' \
end \
return r"
);
