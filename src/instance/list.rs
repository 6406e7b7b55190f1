//! All keys of one instance under a prefix, page by page. `KEYS` would block the server.

use super::inspector::{Inspector, checked};
use super::reply::unexpected_reply;
use super::scripts::LIST;
use super::server_info::text;
use crate::lock::{ListedKey, NoVoteReason, ObservedHolder};
use redis::{Cmd, Value};
use std::time::Duration;

/// The keys to list: those with a prefix and, after it, text that fits a glob.
#[derive(Clone, Debug)]
pub struct KeyPattern(String);

impl KeyPattern {
    /// Keys of `prefix`, which is taken literally, and a glob as Redis has it.
    #[must_use]
    pub fn new(prefix: &str, pattern: &str) -> Self {
        let mut glob = String::new();
        for c in prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
                glob.push('\\');
            }
            glob.push(c);
        }
        Self(glob + pattern)
    }
}

impl Inspector {
    /// Keys that a server visits in one step, which takes about a millisecond.
    const PAGE: u32 = 500;

    /// Passes each key that fits `pattern` to `tell`. A key that exists throughout is passed at
    /// least once (SCAN).
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn list(
        &mut self,
        pattern: &KeyPattern,
        mut tell: impl FnMut(ListedKey),
    ) -> Result<(), NoVoteReason> {
        let mut cursor = "0".to_owned();
        loop {
            let mut eval = Cmd::new();
            eval.arg("EVAL").arg(LIST).arg(0).arg(&cursor).arg(&pattern.0).arg(Self::PAGE);
            let reply = self.ask(&[eval]).await?.pop().ok_or_else(unexpected_reply)?;
            let (next, keys) = read(checked(reply)?).ok_or_else(unexpected_reply)?;
            keys.into_iter().for_each(&mut tell);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// The reply to [`LIST`]: the next cursor, then key, value, PTTL and waiters of each lock.
pub(super) fn read(reply: Value) -> Option<(String, Vec<ListedKey>)> {
    let Value::Array(parts) = reply else { return None };
    let (cursor, rest) = parts.split_first()?;
    let key = |parts: &[Value]| {
        let [
            Value::BulkString(key),
            Value::BulkString(value),
            Value::Int(left),
            Value::Int(waiting),
        ] = parts
        else {
            return None;
        };
        let holder = ObservedHolder {
            value: String::from_utf8_lossy(value).into_owned(),
            left: u64::try_from(*left).ok().map(Duration::from_millis),
        };
        let key = String::from_utf8_lossy(key).into_owned();
        Some(ListedKey { key, holder, waiting: u32::try_from(*waiting).unwrap_or_default() })
    };
    Some((text(cursor)?.to_owned(), rest.chunks(4).map(key).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_literally_and_a_pattern_is_not() {
        assert_eq!(KeyPattern::new("redlock:", "db-*").0, "redlock:db-*");
        assert_eq!(KeyPattern::new("a*[b]?\\:", "*").0, "a\\*\\[b\\]\\?\\\\:*");
    }
}
