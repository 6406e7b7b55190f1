//! The value under the key: who holds the lock, in one line of JSON that is compared whole.

use serde::{Deserialize, Serialize};

/// What a holder says of itself. Nobody's arguments, password or URL is in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// The version of this format: 1.
    pub v: u32,
    /// The public name of this run: what `force-release` takes and what the command sees as `REDLOCK_ID`.
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
    /// The number of instances that the holder knows.
    pub n: usize,
    /// How many may hold the lock at once, as far as the holder knows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slots: u32,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(slots: &u32) -> bool {
    *slots == 1
}

impl Claim {
    /// The value to store: one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        // A struct of strings and numbers always has a JSON form; an empty value would be refused by nobody's rule.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The claim in a stored value; `None` where another client wrote it.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim {
            v: 1,
            id: "4fa2".into(),
            token: "00".repeat(20),
            owner: "deploy@web1".into(),
            pid: 42,
            cmd: "migrate.sh".into(),
            reason: None,
            since: 1_700_000_000,
            ttl_ms: 30_000,
            n: 5,
            slots: 1,
        }
    }

    #[test]
    fn a_claim_survives_the_way_through_redis() {
        let with_reason = Claim { reason: Some("release \"9\"\nnow".into()), slots: 3, ..claim() };
        for claim in [claim(), with_reason] {
            let line = claim.to_line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Claim::parse(&line), Some(claim));
        }
    }

    #[test]
    fn a_foreign_value_is_no_claim() {
        for value in ["", "9d3c", "{}", "{\"v\":1}", "[1]"] {
            assert_eq!(Claim::parse(value), None, "{value}");
        }
    }

    #[test]
    fn slots_are_mentioned_only_where_there_are_some() {
        for (slots, mentioned) in [(1, false), (2, true)] {
            assert_eq!(Claim { slots, ..claim() }.to_line().contains("slots"), mentioned, "{slots}");
        }
    }
}
