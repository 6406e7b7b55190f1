//! A forced release on one instance.

use super::inspector::{Inspector, checked};
use super::reply::unexpected_reply;
use super::scripts::REVOKE;
use super::server_info::Hello;
use crate::lock::{Force, NoVoteReason, Removal, Revocation, Wanted, digest};
use redis::{Cmd, Value};
use std::time::Duration;

/// A forced release: the lock, its holder, and whether safely or at once.
#[derive(Clone, Debug)]
pub struct ForceRelease {
    /// The keys: those of all slots, or of all names.
    pub keys: Vec<String>,
    /// One queue for each key, or one for all slots.
    pub queues: Vec<String>,
    /// The holder.
    pub wanted: Wanted,
    /// Safely or at once.
    pub force: Force,
    /// The operator, the reason and the time.
    pub revocation: Revocation,
}

impl Inspector {
    /// Takes the lock away on this instance. The holder is compared there, in the same step.
    ///
    /// # Errors
    /// When the instance does not answer, refuses, or can never be an instance.
    pub async fn force_release(&mut self, order: &ForceRelease) -> Result<Removal, NoVoteReason> {
        let foreign = match &order.wanted {
            Wanted::Id(_) => Vec::new(),
            Wanted::Digest(wanted) => {
                let seen = self.ask(&[order.command("look", &[])]).await?;
                match order.search(seen, wanted)? {
                    Some(value) => value,
                    None => return Ok(Removal::Absent),
                }
            }
        };
        let word = match order.force {
            Force::Revoke => "revoke",
            Force::Delete => "delete",
        };
        let reply =
            self.ask(&[order.command(word, &foreign)]).await?.pop().ok_or_else(unexpected_reply)?;
        if let Some(why) = self.hello().and_then(Hello::unsupported) {
            return Err(why);
        }
        removed(checked(reply)?, order.keys.len())
    }
}

impl ForceRelease {
    fn command(&self, word: &str, foreign: &[u8]) -> Cmd {
        let (id, rest) = match &self.wanted {
            Wanted::Id(id) => (id.as_str(), String::new()),
            Wanted::Digest(digest) => ("", Revocation::foreign_rest(digest)),
        };
        let mut eval = Cmd::new();
        eval.arg("EVAL").arg(REVOKE).arg(self.keys.len()).arg(&self.keys);
        eval.arg(word).arg(id).arg(foreign).arg(self.revocation.header()).arg(rest);
        eval.arg(&self.queues);
        eval
    }

    /// The value with the digest `wanted`, byte for byte.
    fn search(&self, seen: Vec<Value>, wanted: &str) -> Result<Option<Vec<u8>>, NoVoteReason> {
        let reply = seen.into_iter().next().ok_or_else(unexpected_reply)?;
        let parts = parts(checked(reply)?, self.keys.len())?;
        let mut values = parts.into_iter().map(|(_, _, value)| value);
        Ok(values
            .find(|value| !value.is_empty() && digest(&String::from_utf8_lossy(value)) == *wanted))
    }
}

type KeyPart = (i64, i64, Vec<u8>);

/// The reply to [`REVOKE`]: a code, the PTTL, and the value of each key.
fn parts(reply: Value, keys: usize) -> Result<Vec<KeyPart>, NoVoteReason> {
    let Value::Array(parts) = reply else { return Err(unexpected_reply()) };
    let part = |part: &[Value]| match part {
        [Value::Int(code), Value::Int(left), Value::BulkString(value)] => {
            Some((*code, *left, value.clone()))
        }
        // A missing key has no value.
        [Value::Int(code), Value::Int(left), Value::Nil] => Some((*code, *left, vec![])),
        _ => None,
    };
    let parts: Option<Vec<KeyPart>> = parts.chunks(3).map(part).collect();
    parts.filter(|parts| parts.len() == keys).ok_or_else(unexpected_reply)
}

/// The effect on the keys, from the reply to [`REVOKE`].
pub(super) fn removed(reply: Value, keys: usize) -> Result<Removal, NoVoteReason> {
    let parts = parts(reply, keys)?;
    let removals = parts.iter().map(|(code, left, _)| removal(*code, *left));
    Ok(Removal::of_keys(removals.collect::<Option<Vec<_>>>().ok_or_else(unexpected_reply)?))
}

fn removal(code: i64, left: i64) -> Option<Removal> {
    let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
    Some(match code {
        0 | 1 => Removal::Absent,
        2 => Removal::Revoked(left),
        3 => Removal::AlreadyRevoked(left),
        4 => Removal::Deleted,
        5 => Removal::WithoutExpiry,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_reply_has_three_parts_for_each_key() {
        let two =
            [2, 0].into_iter().flat_map(|code| [Value::Int(code), Value::Int(1500), bulk("")]);
        let read = parts(Value::Array(two.collect()), 2).unwrap();
        let removals: Vec<_> = read.iter().map(|(code, left, _)| removal(*code, *left)).collect();
        let left = Duration::from_millis(1500);
        assert_eq!(removals, [Some(Removal::Revoked(left)), Some(Removal::Absent)]);
        for unexpected_reply in [
            vec![],
            vec![Value::Int(2), Value::Int(1500)],
            vec![bulk("2"), Value::Int(1500), bulk("")],
        ] {
            assert!(parts(Value::Array(unexpected_reply), 1).is_err());
        }
        assert!(parts(Value::Nil, 1).is_err() && removal(6, 0).is_none());
    }
}
