//! A holder in words.

use super::duration::shown;
use crate::lock::{Claim, Sighting};
use std::time::{Duration, UNIX_EPOCH};

/// Who holds the lock, since when, and how long the lease has left.
pub(super) fn described(holder: Option<&Sighting>) -> String {
    let left = holder.map(lease);
    match holder.and_then(|holder| Claim::parse(&holder.value)) {
        Some(_) => format!("{}, {}", who(holder), left.unwrap_or_default()),
        None => who(holder) + &left.map(|left| format!(" ({left})")).unwrap_or_default(),
    }
}

/// How long the lease of a holder has left.
pub(super) fn lease(holder: &Sighting) -> String {
    holder.left.map_or_else(|| "without expiry".into(), |left| format!("lease left {}", shown(left)))
}

/// Who holds the lock, and since when. Whatever another client wrote is not shown: it may be anything, and its owner may take it
/// for a secret.
pub(super) fn who(holder: Option<&Sighting>) -> String {
    let Some(claim) = holder.and_then(|holder| Claim::parse(&holder.value)) else { return "another client".into() };
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(claim.since)).unwrap_or(UNIX_EPOCH);
    let reason = claim.reason.map(|reason| format!(", reason: {}", safe(&reason))).unwrap_or_default();
    format!(
        "{} ({}, pid {}{reason}) since {}",
        safe(&claim.owner),
        safe(&claim.cmd),
        claim.pid,
        humantime::format_rfc3339_seconds(since),
    )
}

/// `text` of somebody else without what a terminal would obey.
pub(super) fn safe(text: &str) -> String {
    // Besides control characters, what turns the direction of a text or ends its line.
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if acts(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(value: &str, left: Option<u64>) -> Sighting {
        Sighting { value: value.into(), left: left.map(Duration::from_millis) }
    }

    #[test]
    fn a_holder_is_named_and_a_stranger_is_not_quoted() {
        let claim = "{\"v\":1,\"id\":\"4f\",\"token\":\"00\",\"owner\":\"deploy@web1\",\"pid\":42,\"cmd\":\"migrate.sh\",\
                     \"reason\":\"re\\u001ble\\u202ease\",\"since\":1700000000,\"ttl_ms\":30000,\"n\":5}";
        for (holder, text) in [
            (None, "another client"),
            (Some(sighting("s3cret", Some(1_500))), "another client (lease left 1s 500ms)"),
            (Some(sighting("", None)), "another client (without expiry)"),
            (
                Some(sighting(claim, Some(12_345))),
                "deploy@web1 (migrate.sh, pid 42, reason: re?le?ase) since 2023-11-14T22:13:20Z, lease left 12s",
            ),
        ] {
            assert_eq!(described(holder.as_ref()), text);
        }
    }

    #[test]
    fn a_claim_from_the_end_of_time_is_shown_and_harms_nobody() {
        let claim = format!(
            "{{\"v\":1,\"id\":\"\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":{},\"ttl_ms\":1,\"n\":3}}",
            u64::MAX
        );
        assert!(described(Some(&sighting(&claim, None))).contains("pid 1"));
    }
}
