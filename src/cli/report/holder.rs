//! A holder in words.

use super::super::duration::{brief, shown};
use crate::lock::{LockValue, ObservedHolder, Revocation, is_unprintable};
use std::time::Duration;

/// The holder, for how long it has held the lock by `now`, the wall clock, and how long its lease has
/// left.
pub(in super::super) fn described(holder: Option<&ObservedHolder>, now: Duration) -> String {
    let left = holder.map(lease);
    match holder.and_then(|holder| LockValue::parse(&holder.value)) {
        Some(_) => format!("{}, {}", who(holder, now), left.unwrap_or_default()),
        None => who(holder, now) + &left.map(|left| format!(" ({left})")).unwrap_or_default(),
    }
}

/// The operator of a revocation, and the reason.
pub(in super::super) fn revoked(revocation: &Revocation) -> String {
    let reason = revocation.reason.iter().map(|reason| format!(": {}", safe(reason)));
    format!("revoked by {}{}", safe(&revocation.by), reason.collect::<String>())
}

/// How long the lease of a holder has left. A revocation is not extended.
pub(in super::super) fn lease(holder: &ObservedHolder) -> String {
    if let (Some(revocation), Some(left)) = (Revocation::parse(&holder.value), holder.left) {
        return format!("{}, free in at most {}", revoked(&revocation), shown(left));
    }
    match holder.left {
        None => "without expiry".into(),
        Some(left) if left.is_zero() => "lease over".into(),
        Some(left) => format!("lease left {}", shown(left)),
    }
}

/// The holder, and for how long it has held the lock by `now`, the wall clock. The value of another
/// client is not shown: it may be a secret.
pub(in super::super) fn who(holder: Option<&ObservedHolder>, now: Duration) -> String {
    let Some(lock_value) = holder.and_then(|holder| LockValue::parse(&holder.value)) else {
        return "another client".into();
    };
    let reason =
        lock_value.reason.map(|reason| format!("reason: {}, ", safe(&reason))).unwrap_or_default();
    let fence =
        lock_value.fence.map(|token| format!(", fencing token {token}")).unwrap_or_default();
    format!(
        "{} ({reason}{}, pid {}{fence}) for {}",
        safe(&lock_value.owner),
        safe(&lock_value.cmd),
        lock_value.pid,
        brief(ago(now, Duration::from_secs(lock_value.since))),
    )
}

/// How many characters of a foreign text are shown.
const SHOWN: usize = 300;

/// A foreign text, cut where it is long, with each character that a terminal would obey replaced.
pub(in super::super) fn safe(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if is_unprintable(c) { '?' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// How long ago `since` was, by the wall clocks of this host and another one.
pub(super) fn ago(now: Duration, since: Duration) -> Duration {
    now.saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(value: &str, left: Option<u64>) -> ObservedHolder {
        ObservedHolder { value: value.into(), left: left.map(Duration::from_millis) }
    }

    #[test]
    fn a_holder_is_named_and_a_stranger_is_not_quoted() {
        let lock_value = "{\"v\":1,\"id\":\"4f\",\"token\":\"00\",\"owner\":\"deploy@web1\",\"pid\":42,\"cmd\":\"migrate.sh\",\
                     \"reason\":\"re\\u001ble\\u202ease\",\"since\":1700000000,\"ttl_ms\":30000,\"n\":5}";
        for (holder, text) in [
            (None, "another client"),
            (Some(observed("s3cret", Some(1_500))), "another client (lease left 1s 500ms)"),
            (Some(observed("s3cret", Some(0))), "another client (lease over)"),
            (Some(observed("", None)), "another client (without expiry)"),
            (
                Some(observed(lock_value, Some(12_345))),
                "deploy@web1 (reason: re?le?ase, migrate.sh, pid 42) for 2m13s, lease left 12s",
            ),
        ] {
            let now = Duration::from_secs(1_700_000_133);
            assert_eq!(described(holder.as_ref(), now), text);
        }
        let header = Revocation::new("ops@web2", Some("it\u{1b} hangs"), 1).header();
        let value = header.clone() + &lock_value.replacen('{', "", 1);
        let text =
            described(Some(&observed(&value, Some(12_000))), Duration::from_secs(1_700_000_133));
        assert!(text.starts_with("deploy@web1 (reason: re?le?ase, migrate.sh"), "{text}");
        assert!(text.ends_with(", revoked by ops@web2: it? hangs, free in at most 12s"), "{text}");
        let value = header + &Revocation::foreign_rest("sha256:00");
        assert_eq!(
            described(Some(&observed(&value, Some(12_000))), Duration::from_secs(1_700_000_133)),
            "another client (revoked by ops@web2: it? hangs, free in at most 12s)"
        );
    }

    #[test]
    fn a_lock_value_from_the_end_of_time_is_shown_without_harm() {
        let lock_value = format!(
            "{{\"v\":1,\"id\":\"\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":{},\"ttl_ms\":1,\"n\":3}}",
            u64::MAX
        );
        let shown = described(Some(&observed(&lock_value, None)), Duration::from_secs(1));
        assert!(shown.contains("pid 1) for 0s"), "{shown}");
    }

    #[test]
    fn foreign_text_is_shown_cut_and_without_control_characters() {
        for (text, shown) in [
            ("a\u{1b}[2Jb", "a?[2Jb".to_owned()),
            ("a\u{200b}\u{200d}\u{feff}\u{61c}\u{2060}b", "a?????b".to_owned()),
            (&"x".repeat(300), "x".repeat(300)),
            (&"ü".repeat(1_000_000), "ü".repeat(300) + "…"),
        ] {
            assert_eq!(safe(text), shown);
        }
    }
}
