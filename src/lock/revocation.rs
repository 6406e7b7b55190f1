//! The revocation of a lock: the value that `redlock force-release` puts in the place of a lock value.
//!
//! A revocation keeps the key, so no other run acquires the lock while the old holder may still run.
//! It is the lock value with a header in front of its first field. A redlock that does not know
//! revocations still reads the holder from it, and finds that the value is not its own.

use super::lock_value::fitted;
use super::{LockValue, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// The header of a revoked lock value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revocation {
    /// `user@host` of the operator.
    pub by: String,
    /// Text of `--reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Moment by the operator's wall clock, in seconds since 1970. For display only.
    pub at: u64,
}

/// A revoked value.
#[derive(Deserialize)]
struct RevocationValue {
    revoked: Revocation,
    /// Digest of the value of another client that was in its place.
    #[serde(default)]
    value: Option<String>,
}

impl Revocation {
    /// The longest `user@host`, in bytes.
    const LONGEST_NAME: usize = 64;
    /// The longest reason, in bytes. The longest lock value and the longest header together are
    /// no longer than other hosts read.
    const LONGEST_REASON: usize = 160;

    /// The revocation by `by`, in its longest form that other hosts read: control characters become
    /// `?`, and each text is cut at a character.
    #[must_use]
    pub fn new(by: &str, reason: Option<&str>, at: u64) -> Self {
        Self {
            by: fitted(by, Self::LONGEST_NAME),
            reason: reason.map(|reason| fitted(reason, Self::LONGEST_REASON)),
            at,
        }
    }

    /// The text that replaces the `{` at the beginning of a lock value.
    #[must_use]
    pub fn header(&self) -> String {
        // A struct of strings and a number always has a JSON form.
        let header = serde_json::to_string(self).unwrap_or_default();
        format!("{{\"revoked\":{header},")
    }

    /// The text after the header if another client wrote the value with this digest. The value itself
    /// may be a secret.
    #[must_use]
    pub fn foreign_rest(digest: &str) -> String {
        format!("\"value\":\"{digest}\"}}")
    }

    /// Parses the header of a stored value. `None` if the value is not revoked.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        RevocationValue::parse(value).map(|revoked| revoked.revoked)
    }

    /// Whether two values are of one attempt to acquire, revoked or not.
    #[must_use]
    pub fn same_holder(one: &str, other: &str) -> bool {
        let is_revoked = |value: &str| value.starts_with(BEGIN);
        one == other
            || (is_revoked(one) || is_revoked(other))
                && (rest(one) == rest(other) || digest(one) == digest(other))
    }

    /// The digest of the value of another client that was revoked.
    #[must_use]
    pub fn foreign_digest(value: &str) -> Option<String> {
        RevocationValue::parse(value)?.value
    }
}

impl RevocationValue {
    fn parse(value: &str) -> Option<Self> {
        // Nearly every value is not revoked, and need not be parsed.
        value.starts_with(BEGIN).then(|| serde_json::from_str(value).ok())?
    }
}

/// Begin of a revoked value.
const BEGIN: &str = "{\"revoked\":";

/// The value behind its header, or without its first character if it has none.
fn rest(value: &str) -> &str {
    let Some(after) = value.strip_prefix(BEGIN) else { return value.get(1..).unwrap_or(value) };
    let mut header = serde_json::Deserializer::from_str(after).into_iter::<Revocation>();
    let is_header = header.next().is_some_and(|header| header.is_ok());
    let rest = after.get(header.byte_offset()..).and_then(|rest| rest.strip_prefix(','));
    rest.filter(|_| is_header).unwrap_or(after)
}

/// How a lock is taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Force {
    /// Its value becomes a revocation, which lasts as long as the lease.
    Revoke,
    /// Its key is deleted, although the command of the holder may run.
    Delete,
}

/// 12 hex digits of SHA-256 over a value that another client wrote, which may be a secret. Of a revoked
/// value, the digest that it had before.
#[must_use]
pub fn digest(value: &str) -> String {
    if let Some(digest) = Revocation::foreign_digest(value) {
        return digest;
    }
    let digest = hex(&Sha256::digest(value.as_bytes()));
    format!("sha256:{}", digest.get(..12).unwrap_or_default())
}

/// The holder whose lock is to be taken away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// The lock of the run with this public id.
    Id(String),
    /// The lock of another client, by the digest of its value.
    Digest(String),
}

impl Wanted {
    /// Parses `--id`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.starts_with("sha256:") {
            Self::Digest(text.to_owned())
        } else {
            Self::Id(text.to_owned())
        }
    }

    /// Whether `value` is that of this holder.
    #[must_use]
    pub fn is_holder(&self, value: &str) -> bool {
        let parsed = LockValue::parse(value);
        match self {
            Self::Id(id) => parsed.is_some_and(|value| value.id == *id),
            Self::Digest(wanted) => digest(value) == *wanted,
        }
    }

    /// The argument of `--id` for the holder that wrote `value`.
    #[must_use]
    pub fn word(value: &str) -> String {
        LockValue::parse(value).map_or_else(|| digest(value), |value| value.id)
    }
}

/// The effect of a forced release on one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removal {
    /// The value was replaced by a revocation, which expires after this time.
    Revoked(Duration),
    /// The value had been revoked before.
    AlreadyRevoked(Duration),
    /// The key was deleted.
    Deleted,
    /// The value of another client has no expiry: nothing tells when its lease is over.
    WithoutExpiry,
    /// The instance has no key of this holder.
    Absent,
}

impl Removal {
    /// The one that counts of several keys on an instance: the lock is as long as the longest.
    #[must_use]
    pub fn of_keys(keys: impl IntoIterator<Item = Self>) -> Self {
        keys.into_iter().max_by_key(Self::rank).unwrap_or(Self::Absent)
    }

    fn rank(&self) -> (u8, Duration) {
        match self {
            Self::Absent => (0, Duration::ZERO),
            Self::Deleted => (1, Duration::ZERO),
            Self::AlreadyRevoked(left) => (2, *left),
            Self::Revoked(left) => (3, *left),
            Self::WithoutExpiry => (4, Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Holder;

    fn revoked(line: &str, revocation: &Revocation) -> String {
        revocation.header() + line.strip_prefix('{').unwrap()
    }

    #[test]
    fn a_revoked_value_still_names_its_holder_and_ends_as_before() {
        let holder = LockValue::example("web1", &[]);
        for reason in [None, Some("it \"hangs\", says {\"id\":\"x\"}")] {
            let revocation = Revocation::new("ops@web2", reason, 1_700_000_000);
            let value = revoked(&holder.to_line(), &revocation);
            assert_eq!(LockValue::parse(&value).as_ref(), Some(&holder), "{value}");
            assert_eq!(Revocation::parse(&value), Some(revocation));
            assert!(value.ends_with(&holder.to_line()[1..]) && !value.contains('\n'));
            assert_eq!(Revocation::foreign_digest(&value), None);
        }
        let foreign = Revocation::new("ops@web2", None, 1).header()
            + &Revocation::foreign_rest("sha256:0123456789ab");
        assert_eq!(LockValue::parse(&foreign), None);
        assert!(Revocation::parse(&foreign).is_some());
        let digest = Revocation::foreign_digest(&foreign);
        assert_eq!(digest.as_deref(), Some("sha256:0123456789ab"));
    }

    #[test]
    fn a_value_without_a_revocation_is_not_read_as_revoked() {
        let line = LockValue { reason: Some("{\"revoked\":{}}".into()), ..value() }.to_line();
        for text in ["", "secret", "{\"revoked\":", "{\"revoked\":{\"by\":1}}", &line] {
            assert_eq!(Revocation::parse(text), None, "{text}");
        }
    }

    fn value() -> LockValue {
        LockValue::example("web1", &[])
    }

    #[test]
    fn a_value_and_its_revocations_have_one_holder() {
        let (mine, other) = (value(), LockValue { token: "11".repeat(20), ..value() });
        let [mine, other] = [mine.to_line(), other.to_line()];
        let by = |name: &str| Revocation::new(name, Some("a \"},{\""), 1);
        let foreign = by("a@b").header() + &Revocation::foreign_rest(&digest("secret"));
        for (one, two, same) in [
            (mine.clone(), mine.clone(), true),
            (mine.clone(), revoked(&mine, &by("a@b")), true),
            (revoked(&mine, &by("c@d")), revoked(&mine, &by("a@b")), true),
            (revoked(&mine, &by("c@d")), revoked(&other, &by("c@d")), false),
            (mine.clone(), revoked(&other, &by("a@b")), false),
            (mine.clone(), other, false),
            ("secret".into(), foreign.clone(), true),
            ("another".into(), foreign.clone(), false),
            (mine, foreign, false),
            ("ab".into(), "cb".into(), false),
        ] {
            assert_eq!(Revocation::same_holder(&one, &two), same, "{one} {two}");
        }
    }

    #[test]
    fn the_longest_header_and_the_longest_value_are_read_by_other_hosts() {
        for text in ["\u{1b}\\\"", "ü€𝄞", "\""] {
            let long = text.repeat(1000);
            let servers = Some("~abcdef,".repeat(32));
            let holder = Holder {
                reason: Some(long.clone()),
                owner: long.clone(),
                cmd: long.clone(),
                servers,
                ..Holder::example("web1", &[])
            };
            let held = holder.fitted().lock_value(&"00".repeat(20), u64::MAX, None);
            let value = revoked(&held.to_line(), &Revocation::new(&long, Some(&long), u64::MAX));
            assert!(value.len() <= LockValue::MAX, "{text}: {}", value.len());
            assert_eq!(LockValue::parse(&value), Some(held));
        }
    }

    #[test]
    fn of_several_keys_the_one_that_lasts_longest_counts() {
        let seconds = Duration::from_secs;
        for (keys, expected) in [
            (vec![], Removal::Absent),
            (vec![Removal::Absent, Removal::Deleted], Removal::Deleted),
            (
                vec![Removal::Revoked(seconds(2)), Removal::Absent, Removal::Revoked(seconds(9))],
                Removal::Revoked(seconds(9)),
            ),
            (
                vec![Removal::AlreadyRevoked(seconds(9)), Removal::Revoked(seconds(2))],
                Removal::Revoked(seconds(2)),
            ),
            (vec![Removal::WithoutExpiry, Removal::Deleted], Removal::WithoutExpiry),
        ] {
            assert_eq!(Removal::of_keys(keys), expected);
        }
        assert_eq!(Wanted::parse("4fa2"), Wanted::Id("4fa2".into()));
        assert!(matches!(Wanted::parse("sha256:00"), Wanted::Digest(_)));
    }

    #[test]
    fn a_holder_is_known_by_its_id_or_another_client_by_the_digest_of_its_value() {
        let ours = LockValue::example("web1", &[]);
        let (line, foreign) = (ours.to_line(), "value of another client");
        assert_eq!(Wanted::word(&line), ours.id);
        let by_digest = Wanted::word(foreign);
        assert!(by_digest.starts_with("sha256:"), "{by_digest}");
        for (word, holds_ours, holds_foreign) in
            [(ours.id.as_str(), true, false), (&by_digest, false, true), ("none", false, false)]
        {
            let wanted = Wanted::parse(word);
            let found = (wanted.is_holder(&line), wanted.is_holder(foreign));
            assert_eq!(found, (holds_ours, holds_foreign), "{word}");
        }
    }
}
