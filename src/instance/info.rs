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
        let text = match reply {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
            Value::VerbatimString { text, .. } => text,
            _ => return None,
        };
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Some(Self {
            run_id: field("run_id")?.to_owned(),
            mode: field("redis_mode").unwrap_or("standalone").to_owned(),
            uptime: Duration::from_secs(field("uptime_in_seconds")?.parse().ok()?),
            clock: field("server_time_usec").and_then(|usec| Some(Duration::from_micros(usec.parse().ok()?))),
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
