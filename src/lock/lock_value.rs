//! The value of the key: the holder, as one line of JSON that is compared as a whole.

use super::{FenceToken, Revocation, Ttl};
use serde::{Deserialize, Serialize};

/// A run, as its lock values name it in every attempt. Contains neither arguments nor passwords nor
/// URLs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Public id of the run, `REDLOCK_ID` of the command.
    pub id: String,
    /// `user@host`.
    pub owner: String,
    /// Process id of redlock on that host.
    pub pid: u32,
    /// Name of the program, without arguments.
    pub cmd: String,
    /// Text of `--reason`.
    pub reason: Option<String>,
    /// TTL of the lock.
    pub ttl: Ttl,
    /// Number of instances.
    pub n: usize,
    /// Number of slots.
    pub slots: u32,
    /// List of the servers ([`super::server_list`]).
    pub servers: Option<String>,
}

/// The value of a lock: the holder, and the attempt that set the value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LockValue {
    /// Version of this format: 1.
    pub v: u32,
    /// [`Holder::id`].
    pub id: String,
    /// Nonce of the attempt, in hex.
    pub token: String,
    /// [`Holder::owner`].
    pub owner: String,
    /// [`Holder::pid`].
    pub pid: u32,
    /// [`Holder::cmd`].
    pub cmd: String,
    /// [`Holder::reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Begin of the attempt by the holder's wall clock, in seconds since 1970. For display only.
    pub since: u64,
    /// TTL in milliseconds.
    pub ttl_ms: u64,
    /// Fencing token of the holder, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// Number of instances that the holder is configured with. [`super::Agreement::kind`] compares
    /// this field and the following ones, so every field that two hosts may set differently comes
    /// before.
    pub n: usize,
    /// Number of slots that the holder is configured with.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slots: u32,
    /// List of the servers that the holder is configured with ([`super::server_list`]). `None` in a
    /// value of an older redlock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<String>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(slots: &u32) -> bool {
    *slots == 1
}

impl Holder {
    /// Fits the holder into the longest lock value: replaces control characters by `?`, and cuts
    /// each text at a character, to at most 512 bytes.
    #[must_use]
    pub fn fitted(self) -> Self {
        let fit = |text: String| fitted(&text, 512);
        Self { owner: fit(self.owner), cmd: fit(self.cmd), reason: self.reason.map(fit), ..self }
    }

    /// The value of an attempt with this nonce, which began at `since` by the wall clock, in seconds
    /// since 1970.
    #[must_use]
    pub fn lock_value(&self, nonce: &str, since: u64, fence: Option<FenceToken>) -> LockValue {
        LockValue {
            v: 1,
            id: self.id.clone(),
            token: nonce.to_owned(),
            owner: self.owner.clone(),
            pid: self.pid,
            cmd: self.cmd.clone(),
            reason: self.reason.clone(),
            since,
            ttl_ms: self.ttl.millis(),
            fence: fence.map(FenceToken::get),
            n: self.n,
            slots: self.slots,
            servers: self.servers.clone(),
        }
    }
}

impl LockValue {
    /// The longest value that other hosts read in full, in bytes.
    pub(super) const MAX: usize = 4096;

    /// The value to store: one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        // A struct of strings and numbers always has a JSON form.
        let line = serde_json::to_string(self).unwrap_or_default();
        debug_assert!(
            line.len() <= Self::MAX,
            "a value of {} bytes is longer than other hosts read",
            line.len()
        );
        line
    }

    /// Parses a stored value of the run with this public id, which holds the lock and was not revoked.
    #[must_use]
    pub fn held_by(id: &str, value: &str) -> Option<Self> {
        Self::parse(value).filter(|held| held.id == id && Revocation::parse(value).is_none())
    }

    /// Parses a stored value. `None` if another client wrote the value.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }
}

/// `text` of a lock value or a revocation, with `?` in place of control characters, cut at a
/// character to at most `longest` bytes.
pub(super) fn fitted(text: &str, longest: usize) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
impl Holder {
    /// A run on `host` over `servers`.
    pub(crate) fn example(host: &str, servers: &[super::ServerName]) -> Self {
        Self {
            id: "4fa2".into(),
            owner: format!("deploy@{host}"),
            pid: 42,
            cmd: "migrate.sh".into(),
            reason: None,
            ttl: Ttl::DEFAULT,
            n: servers.len(),
            slots: 1,
            servers: super::server_list(servers),
        }
    }
}

#[cfg(test)]
impl LockValue {
    /// The value of a run on `host` over `servers`.
    pub(crate) fn example(host: &str, servers: &[super::ServerName]) -> Self {
        Holder::example(host, servers).lock_value(&"00".repeat(20), 1_700_000_000, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock_value() -> LockValue {
        LockValue { n: 5, servers: None, ..LockValue::example("web1", &[]) }
    }

    #[test]
    fn a_value_survives_the_round_trip_through_redis() {
        let with_reason =
            LockValue { reason: Some("release \"9\"\nnow".into()), slots: 3, ..lock_value() };
        let fenced = LockValue { fence: Some(1_764_273_600_123), ..lock_value() };
        assert!(fenced.to_line().ends_with(",\"fence\":1764273600123,\"n\":5}"));
        for lock_value in [lock_value(), with_reason, fenced] {
            let line = lock_value.to_line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(LockValue::parse(&line), Some(lock_value));
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        for text in ["\u{1b}\\\"", "ü€𝄞", "x"] {
            let long = text.repeat(10_000);
            let servers = Some("~abcdef,".repeat(32));
            let holder = Holder {
                reason: Some(long.clone()),
                owner: long.clone(),
                cmd: long,
                servers,
                ..Holder::example("web1", &[])
            };
            let lock_value = holder.fitted().lock_value(&"00".repeat(20), u64::MAX, None);
            let reason = lock_value.reason.clone().unwrap();
            assert!(
                reason.len() > 500 && reason.len() <= 512 && !reason.contains('\u{1b}'),
                "{text}: {}",
                reason.len()
            );
            let line = lock_value.to_line();
            assert!(line.len() <= LockValue::MAX, "{text}: {}", line.len());
            assert_eq!(LockValue::parse(&line), Some(lock_value));
        }
        let holder = Holder::example("web1", &[]);
        assert_eq!(holder.clone().fitted(), holder);
    }

    #[test]
    fn a_foreign_value_is_not_parsed() {
        for value in ["", "9d3c", "{}", "{\"v\":1}", "[1]"] {
            assert_eq!(LockValue::parse(value), None, "{value}");
        }
    }

    #[test]
    fn values_of_an_older_and_a_newer_redlock_are_parsed() {
        let line = LockValue { servers: Some("abcdef,123456".into()), ..lock_value() }.to_line();
        let older = line.replace(",\"servers\":\"abcdef,123456\"", "");
        assert_eq!(LockValue::parse(&older), Some(lock_value()));
        let newer = line.replace("\"v\":1", "\"v\":1,\"unknown_field\":true");
        assert_eq!(
            LockValue::parse(&newer).and_then(|lock_value| lock_value.servers).as_deref(),
            Some("abcdef,123456")
        );
    }

    #[test]
    fn the_value_has_slots_only_if_there_are_several() {
        for (slots, expected) in [(1, false), (2, true)] {
            assert_eq!(
                LockValue { slots, ..lock_value() }.to_line().contains("slots"),
                expected,
                "{slots}"
            );
        }
    }
}
