//! The two scripts. Each is one command and one atomic step on the instance.
//!
//! They are sent whole (EVAL): by hash a server that restarted would ask for them again, which costs a round trip when
//! there is none to spare, and needs rights to one command more.

/// Extends KEYS[1] by ARGV[2] ms if its value is ARGV[1]; sets it again if it is missing.
///
/// PEXPIRE and not SET where the key is there: SET is refused when memory is full. Answers 1 kept, 2 set again,
/// 3 missing and not set again, 4 another's; and the instance's TIME, or nothing where the right to it is missing.
pub(super) const EXTEND: &str = "\
local v = redis.pcall('GET', KEYS[1]) \
local t = redis.pcall('TIME') \
if t.err then t = {} end \
if v == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return {1, t[1], t[2]} end \
if v then return {4, t[1], t[2]} end \
local r = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
if r.err then return {3, t[1], t[2]} end \
return {2, t[1], t[2]}";

/// Deletes KEYS[1] if its value is ARGV[1].
///
/// Answers 1 deleted, 0 missing, or the value and the PTTL of another's key (the value is empty where it is no string).
pub(super) const RELEASE: &str = "\
local v = redis.pcall('GET', KEYS[1]) \
if v == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
if not v then return 0 end \
if type(v) == 'table' then v = '' end \
return {string.sub(v, 1, 4096), redis.call('PTTL', KEYS[1])}";
