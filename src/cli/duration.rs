//! Lengths of time as people type them.

use crate::lock::Ttl;
use std::time::Duration;

/// Reads `500ms`, `30s`, `1h30m`, as humantime does, or a bare number of seconds such as `2` or
/// `0.5`, as flock(1) does.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || "expected a length such as 500ms, 30s or 1h30m".to_owned();
    if text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let seconds = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| expected())? };
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        return Ok(Duration::new(seconds, digits.parse().map_err(|_| expected())?));
    }
    humantime::parse_duration(text).map_err(|_| expected())
}

/// Reads a TTL.
pub(super) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    Ttl::new(parse(text)?).map_err(|error| error.to_string())
}

/// `length` for a person: whole seconds, or milliseconds below ten of them.
pub(super) fn shown(length: Duration) -> String {
    if length >= Duration::from_secs(10) {
        humantime::format_duration(Duration::from_secs(length.as_secs())).to_string()
    } else {
        humantime::format_duration(Duration::from_millis(
            u64::try_from(length.as_millis()).unwrap_or(0),
        ))
        .to_string()
    }
}

/// `length` for a column: in whole seconds, without spaces, and its two largest units.
pub(super) fn brief(length: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(length.as_secs())).to_string();
    text.split(' ').take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_humantime_and_flock_read_them() {
        for (text, millis) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("2", Some(2_000)),
            ("0", Some(0)),
            ("0.25", Some(250)),
            ("1.", Some(1_000)),
            ("", None),
            (".5", Some(500)),
            (".", None),
            ("-1", None),
            ("1.5.2", None),
            ("ten", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse(text).ok(), millis.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_shown_without_noise() {
        for (millis, text) in [(0, "0s"), (1_500, "1s 500ms"), (61_234, "1m 1s")] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
        }
        for (seconds, text) in [(0, "0s"), (133, "2m13s"), (3600, "1h"), (90_061, "1day1h")] {
            assert_eq!(brief(Duration::from_secs(seconds)), text);
        }
    }
}
