//! A wait in words: in full for a log, and cut to the width of a terminal.

use super::super::duration::{brief, shown};
use super::Report;
use super::describe::ordinal;
use super::holder::{ago, lease, safe, who};
use crate::lock::{LockValue, ObservedHolder};
use crate::policy::Blocker;
use crate::supervisor::since_1970;
use std::time::Duration;

/// The least room for the reason beside the lease.
const REASON_ROOM: usize = 24;
/// The least room for the reason beside the rest of the line.
const REASON_LEAST: usize = 12;
/// Most characters of the holder's user and host.
const OWNER_ROOM: usize = 30;

impl Report {
    /// Reports a wait: its blocker, and our place.
    pub(super) fn waiting(&self, blocker: &Blocker, place: Option<u32>) {
        let name = &self.name;
        match blocker {
            Blocker::Holder(holder) => {
                let now = since_1970();
                let place =
                    place.map(|before| format!("{} in line", ordinal(before.saturating_add(1))));
                let full = in_full(name, holder.as_ref(), place.as_deref(), now);
                let fitted = |room| fitted(name, holder.as_ref(), place.as_deref(), now, room);
                self.printer.say_live(&full, fitted);
            }
            Blocker::Instances(votes) => {
                let text = match self.until_old_enough(votes) {
                    Some(left) => format!(
                        "waiting {} for servers that have just started (see --restart-guard)",
                        shown(left)
                    ),
                    None => format!("waiting for '{name}', no quorum: {}", self.votes(votes)),
                };
                self.printer.say_live(&text, |room| cut(&text, room));
            }
        }
    }
}

/// The whole line.
fn in_full(
    name: &str,
    holder: Option<&ObservedHolder>,
    place: Option<&str>,
    now: Duration,
) -> String {
    let mut text = format!("waiting for '{name}', held by {}", who(holder, now));
    for part in place.map(str::to_owned).into_iter().chain(holder.map(lease)) {
        text += ", ";
        text += &part;
    }
    text
}

/// The line in `room` characters: the holder and its reason, then the times and the place. Parts
/// without room are left out, the least needed first.
fn fitted(
    name: &str,
    holder: Option<&ObservedHolder>,
    place: Option<&str>,
    now: Duration,
    room: usize,
) -> String {
    let full = in_full(name, holder, place, now);
    if full.chars().count() <= room {
        return full;
    }
    let value = holder.and_then(|holder| LockValue::parse(&holder.value));
    let (head, why) = match &value {
        Some(value) => (
            format!("waiting for {}", cut(&safe(&value.owner), OWNER_ROOM)),
            match &value.reason {
                Some(reason) => format!(": {}", safe(reason)),
                None => format!(" ({})", safe(&value.cmd)),
            },
        ),
        None => ("waiting for another client".to_owned(), String::new()),
    };
    let since = value.map(|value| brief(ago(now, Duration::from_secs(value.since))));
    let tails: Vec<String> = [since, place.map(str::to_owned), holder.map(lease)]
        .into_iter()
        .flatten()
        .map(|part| format!(", {part}"))
        .collect();
    let length = |text: &str| text.chars().count();
    for count in (0..=tails.len()).rev() {
        let tail = tails.get(..count).unwrap_or_default().concat();
        let left = room.saturating_sub(length(&head)).saturating_sub(length(&tail));
        // The lease is left out first, so that the reason can be read.
        let least = if count > 1 && count == tails.len() { REASON_ROOM } else { REASON_LEAST };
        if left >= length(&why).min(least) {
            return cut(&format!("{head}{}{tail}", cut(&why, left)), room);
        }
    }
    cut(&format!("{head}{why}"), room)
}

/// `text`, cut to `room` characters.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(reason: Option<&str>) -> ObservedHolder {
        let reason = reason.map(|reason| format!("\"reason\":\"{reason}\",")).unwrap_or_default();
        let value = format!(
            "{{\"v\":1,\"id\":\"4f\",\"token\":\"00\",\"owner\":\"deploy@web1\",\"pid\":42,\"cmd\":\"migrate.sh\",{reason}\
             \"since\":1000,\"ttl_ms\":30000,\"n\":5}}"
        );
        ObservedHolder { value, left: Some(Duration::from_secs(25)) }
    }

    #[test]
    fn a_line_of_80_columns_shows_the_holder_and_the_reason_first() {
        // 60 characters.
        let reason = "release 9 of the shop, with the migration of the order table";
        let now = Duration::from_secs(1133);
        let room = 80 - "redlock: ".len();
        for (reason, place, room, line) in [
            (
                Some(reason),
                Some("2nd in line"),
                room,
                "waiting for deploy@web1: release 9 of the shop, wi…, 2m13s, 2nd in line",
            ),
            (
                Some(reason),
                None,
                room,
                "waiting for deploy@web1: release 9 of the shop,…, 2m13s, lease left 25s",
            ),
            (None, None, room, "waiting for deploy@web1 (migrate.sh), 2m13s, lease left 25s"),
            (
                Some(reason),
                Some("1st in line"),
                1000,
                "waiting for 'shop', held by deploy@web1 (reason: release 9 of the shop, with the migration of the order table, \
                 migrate.sh, pid 42) for 2m13s, 1st in line, lease left 25s",
            ),
            (Some("x"), Some("1st in line"), 30, "waiting for deploy@web1: x"),
        ] {
            let shown = fitted("shop", Some(&holder(reason)), place, now, room);
            assert!(shown.chars().count() <= room, "{room}: {shown}");
            assert_eq!(shown, line);
        }
        assert!(fitted("shop", None, None, now, 10).chars().count() <= 10);
    }
}
