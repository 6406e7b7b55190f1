//! The value under the key: who holds the lock, in one line of JSON that is compared whole.

use serde::{Deserialize, Serialize};

/// What a holder says of itself. Nobody's arguments, password or URL is in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LockValue {
    /// The version of this format: 1.
    pub v: u32,
    /// The public name of this run: what `force-release` takes and what the command sees as
    /// `REDLOCK_ID`.
    pub id: String,
    /// The nonce of this attempt in hex.
    pub token: String,
    /// `user@host`.
    pub owner: String,
    /// The process id of redlock on that host.
    pub pid: u32,
    /// The name of the program, never its arguments.
    pub cmd: String,
    /// What `--reason` said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds since 1970 at which the attempt began, by the holder's wall clock: for people only.
    pub since: u64,
    /// The TTL in milliseconds.
    pub ttl_ms: u64,
    /// The number of instances that the holder knows. [`super::Agreement::kind`] compares this and
    /// what follows: nothing goes behind it that two hosts may say differently.
    pub n: usize,
    /// How many may hold the lock at once, as far as the holder knows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slots: u32,
    /// The servers that the holder names ([`super::server_list`]); `None` in a value of an older
    /// redlock.
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

impl LockValue {
    /// The longest value that other hosts read whole, in bytes.
    const MOST: usize = 4096;

    /// The same with texts so short that the value is read whole: control characters are replaced,
    /// and what is longer than 512 bytes is cut at a character.
    #[must_use]
    pub fn fitted(self) -> Self {
        let fit = |text: String| {
            let mut text: String =
                text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            text.truncate(
                (0..=512).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default(),
            );
            text
        };
        Self { owner: fit(self.owner), cmd: fit(self.cmd), reason: self.reason.map(fit), ..self }
    }

    /// The value to store: one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        // A struct of strings and numbers always has a JSON form; an empty value would be refused
        // by nobody's rule.
        let line = serde_json::to_string(self).unwrap_or_default();
        debug_assert!(
            line.len() <= Self::MOST,
            "a value of {} bytes is cut by those who read it",
            line.len()
        );
        line
    }

    /// The lock value in a stored value; `None` where another client wrote it.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }
}

#[cfg(test)]
impl LockValue {
    /// A lock value for a test: of a run on `host` over `servers`.
    pub(crate) fn example(host: &str, servers: &[super::ServerName]) -> Self {
        Self {
            v: 1,
            id: "4fa2".into(),
            token: "00".repeat(20),
            owner: format!("deploy@{host}"),
            pid: 42,
            cmd: "migrate.sh".into(),
            reason: None,
            since: 1_700_000_000,
            ttl_ms: 30_000,
            n: servers.len(),
            slots: 1,
            servers: super::server_list(servers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock_value() -> LockValue {
        LockValue { n: 5, servers: None, ..LockValue::example("web1", &[]) }
    }

    #[test]
    fn a_claim_survives_the_way_through_redis() {
        let with_reason =
            LockValue { reason: Some("release \"9\"\nnow".into()), slots: 3, ..lock_value() };
        for lock_value in [lock_value(), with_reason] {
            let line = lock_value.to_line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(LockValue::parse(&line), Some(lock_value));
        }
    }

    #[test]
    fn a_claim_of_long_texts_is_cut_at_a_character_and_read_whole() {
        for text in ["\u{1b}\\\"", "ü€𝄞", "x"] {
            let long = text.repeat(10_000);
            let servers = Some("~abcdef,".repeat(32));
            let lock_value = LockValue {
                reason: Some(long.clone()),
                owner: long.clone(),
                cmd: long,
                servers,
                ..lock_value()
            }
            .fitted();
            let reason = lock_value.reason.clone().unwrap();
            assert!(
                reason.len() > 500 && reason.len() <= 512 && !reason.contains('\u{1b}'),
                "{text}: {}",
                reason.len()
            );
            let line = lock_value.to_line();
            assert!(line.len() <= LockValue::MOST, "{text}: {}", line.len());
            assert_eq!(LockValue::parse(&line), Some(lock_value));
        }
        assert_eq!(lock_value().fitted(), lock_value());
    }

    #[test]
    fn a_foreign_value_is_no_claim() {
        for value in ["", "9d3c", "{}", "{\"v\":1}", "[1]"] {
            assert_eq!(LockValue::parse(value), None, "{value}");
        }
    }

    #[test]
    fn a_claim_of_an_older_redlock_names_no_servers_and_an_older_redlock_reads_ours() {
        let line = LockValue { servers: Some("abcdef,123456".into()), ..lock_value() }.to_line();
        let older = line.replace(",\"servers\":\"abcdef,123456\"", "");
        assert_eq!(LockValue::parse(&older), Some(lock_value()));
        // What a format does not know it ignores.
        let newer = line.replace("\"v\":1", "\"v\":1,\"unheard_of\":true");
        assert_eq!(
            LockValue::parse(&newer).and_then(|lock_value| lock_value.servers).as_deref(),
            Some("abcdef,123456")
        );
    }

    #[test]
    fn slots_are_mentioned_only_where_there_are_some() {
        for (slots, mentioned) in [(1, false), (2, true)] {
            assert_eq!(
                LockValue { slots, ..lock_value() }.to_line().contains("slots"),
                mentioned,
                "{slots}"
            );
        }
    }
}
