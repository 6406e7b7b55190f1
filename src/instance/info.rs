//! What `INFO server` tells: who answers, for how long it has been up, and whether it can be an instance at all.

use crate::lock::{Identity, Refusal, Time, Unknown};
use redis::Value;
use std::time::Duration;

/// How long an instance must have been up before its vote counts: one that lost its memory has forgotten whom it
/// granted the lock, for as long as that holder's TTL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guard {
    /// A restart loses nothing (`appendfsync always`).
    Off,
    /// For this long.
    For(Duration),
}

/// One server's account of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Info {
    pub(super) run_id: String,
    mode: String,
    uptime: Duration,
    pub(super) clock: Option<Duration>,
}

impl Info {
    /// The account in the reply to `INFO server`; `None` where the right to ask is missing or the reply is unlike Redis's.
    pub(super) fn parse(reply: &Value) -> Option<Self> {
        let [run_id, mode, uptime, clock] =
            fields(text(reply)?, ["run_id", "redis_mode", "uptime_in_seconds", "server_time_usec"]);
        Some(Self {
            run_id: run_id?.to_owned(),
            mode: mode.unwrap_or("standalone").to_owned(),
            uptime: Duration::from_secs(uptime?.parse().ok()?),
            clock: clock.and_then(|usec| Some(Duration::from_micros(usec.parse().ok()?))),
        })
    }

    /// Why this server can never be an instance.
    pub(super) fn misfit(&self) -> Option<Unknown> {
        let what = match self.mode.as_str() {
            "cluster" => "a Redis Cluster node; expected an independent server",
            "sentinel" => "a Sentinel; expected a Redis server",
            _ => return None,
        };
        Some(Unknown::Refused(Refusal::Configuration, format!("this is {what}")))
    }

    /// From when on its votes count, where the account was asked for at `sent` and answered within `limit`.
    ///
    /// The reply counts whole seconds and may be up to one ahead of the truth.
    pub(super) fn votes_from(&self, guard: Guard, sent: Time, limit: Duration) -> Time {
        let certain = self.uptime.saturating_sub(Duration::from_secs(1));
        match guard {
            Guard::For(guard) if certain < guard => sent.plus(limit).plus(guard.saturating_sub(certain)),
            Guard::For(_) | Guard::Off => Time::default(),
        }
    }

    /// Who answered, to those who hold a lock there.
    pub(super) fn identity(&self, guard: Guard) -> Identity {
        Identity { run_id: self.run_id.clone(), forgets: guard != Guard::Off }
    }

    /// How long it has been up.
    pub(super) const fn uptime(&self) -> Duration {
        self.uptime
    }
}

/// What a server says of itself to HELLO.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hello {
    is_replica: bool,
}

impl Hello {
    /// What the reply to `HELLO 3` says; `None` where it does not speak that protocol.
    pub(super) fn parse(reply: &Value) -> Option<Self> {
        let Value::Map(fields) = reply else { return None };
        let is = |value: &Value, text: &str| match value {
            Value::BulkString(bytes) => bytes == text.as_bytes(),
            Value::SimpleString(own) => own == text,
            _ => false,
        };
        let is_replica = fields.iter().any(|(name, role)| is(name, "role") && !is(role, "master"));
        Some(Self { is_replica })
    }

    /// Why this server can never be an instance.
    pub(super) fn misfit(&self) -> Option<Unknown> {
        let what = "this is a replica; expected an independent server";
        self.is_replica.then(|| Unknown::Refused(Refusal::Configuration, what.into()))
    }
}

/// Whether the reply to `INFO memory` says that keys are deleted when memory is full.
pub(super) fn evicts(reply: &Value) -> bool {
    let Some(text) = text(reply) else { return false };
    let [limit, policy] = fields(text, ["maxmemory", "maxmemory_policy"]);
    limit.is_some_and(|limit| limit != "0") && policy.is_some_and(|policy| policy != "noeviction")
}

fn text(reply: &Value) -> Option<&str> {
    match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The values of the fields with these names, in one pass, which ends with the last of them.
fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut values = [None; N];
    for line in text.lines() {
        for (name, value) in names.iter().zip(&mut values) {
            if let Some(found) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
                *value = Some(found);
            }
        }
        if values.iter().all(Option::is_some) {
            break;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(mode: &str, uptime: u64) -> Value {
        let text = format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:{mode}\r\nrun_id:abc\r\nuptime_in_seconds:{uptime}\r\n"
        );
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn the_account_is_read_from_the_reply() {
        let info = Info::parse(&reply("standalone", 7)).unwrap();
        assert_eq!((info.run_id.as_str(), info.uptime()), ("abc", Duration::from_secs(7)));
        assert_eq!(info.misfit(), None);
        for mode in ["cluster", "sentinel"] {
            assert!(Info::parse(&reply(mode, 7)).unwrap().misfit().is_some(), "{mode}");
        }
        assert_eq!(Info::parse(&Value::Nil), None);
        assert_eq!(Info::parse(&Value::BulkString(b"# Server\r\n".to_vec())), None);
    }

    #[test]
    fn a_server_that_may_forget_keys_says_so() {
        for (limit, policy, forgets) in
            [("0", "allkeys-lru", false), ("1", "noeviction", false), ("1", "volatile-ttl", true)]
        {
            let text = format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
            assert_eq!(evicts(&Value::BulkString(text.into_bytes())), forgets, "{limit} {policy}");
        }
        assert!(!evicts(&Value::Nil));
    }

    #[test]
    fn a_replica_says_so_at_the_first_word() {
        let said = |role: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            Hello::parse(&Value::Map(vec![(text("proto"), Value::Int(3)), (text("role"), text(role))])).unwrap()
        };
        assert_eq!(said("master").misfit(), None);
        assert!(said("replica").misfit().is_some());
        assert_eq!(Hello::parse(&Value::Nil), None);
    }

    #[test]
    fn a_server_votes_once_it_has_certainly_been_up_for_the_guard() {
        let (sent, limit) = (Time::default(), Duration::from_secs(1));
        let guard = Guard::For(Duration::from_secs(30));
        for (label, guard, uptime, wait) in [
            ("just started", guard, 0, 31),
            ("three seconds ago", guard, 3, 29),
            ("the last second is uncertain", guard, 30, 2),
            ("long enough", guard, 31, 0),
            ("off", Guard::Off, 0, 0),
        ] {
            let from = Info::parse(&reply("standalone", uptime)).unwrap().votes_from(guard, sent, limit);
            assert_eq!(from.since(sent), Duration::from_secs(wait), "{label}");
        }
    }
}
