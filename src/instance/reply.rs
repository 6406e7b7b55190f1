//! What the replies to one write mean.

use super::errors::meaning;
use super::info::Info;
use crate::lock::{Ask, Extension, Release, Sighting, Unknown, Vote};
use redis::Value;
use std::time::Duration;

/// What a request came to, with the account of the server where one was asked for.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The server's account of itself.
    pub(super) info: Option<Info>,
    /// The reply to the request itself; an error of AUTH or SELECT stands for it.
    pub(super) reply: Result<Value, Unknown>,
}

/// Sorts the replies to one write. On a new connection they begin with those to AUTH and SELECT, `greeted` in number,
/// to INFO, and perhaps to a release that tries the right to it; on any, the last is the request's.
pub(super) fn sort(replies: Vec<Value>, greeted: Option<usize>) -> Parsed {
    // INFO may be refused: the guard does without it then.
    let vital = replies.iter().enumerate().filter(|(place, _)| Some(*place) != greeted);
    let refused = vital.take(replies.len().saturating_sub(1)).find_map(|(_, reply)| match reply {
        Value::ServerError(error) => Some(meaning(error)),
        _ => None,
    });
    let info = greeted.and_then(|greeted| replies.get(greeted)).and_then(Info::parse);
    let reply = match (refused, replies.into_iter().next_back()) {
        (Some(refused), _) => Err(refused),
        (None, Some(Value::ServerError(error))) => Err(meaning(&error)),
        (None, Some(reply)) => Ok(reply),
        (None, None) => Err(strange()),
    };
    Parsed { info, reply }
}

/// The vote in the reply to `SET … NX`.
pub(super) fn vote(reply: Result<Value, Unknown>) -> Vote {
    match reply {
        Ok(Value::Okay) => Vote::Granted,
        Ok(Value::Nil) => Vote::Denied,
        Ok(_) => Vote::Unknown(strange()),
        Err(unknown) => Vote::Unknown(unknown),
    }
}

/// The answer in the reply to [`super::scripts::EXTEND`], and the instance's clock.
pub(super) fn extension(reply: Result<Value, Unknown>) -> (Extension, Option<Duration>) {
    let parts = match reply {
        Ok(Value::Array(parts)) => parts,
        Ok(_) => return (Extension::Unknown(strange()), None),
        Err(unknown) => return (Extension::Unknown(unknown), None),
    };
    let extension = match parts.first() {
        Some(Value::Int(1)) => Extension::Kept,
        Some(Value::Int(2)) => Extension::SetAgain,
        Some(Value::Int(3)) => Extension::Missing,
        Some(Value::Int(4)) => Extension::Foreign,
        _ => Extension::Unknown(strange()),
    };
    (extension, clock(parts.get(1..).unwrap_or_default()))
}

/// The reply to TIME: seconds and microseconds, each as text.
fn clock(parts: &[Value]) -> Option<Duration> {
    let number = |part: &Value| match part {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    };
    let [seconds, micros] = parts else { return None };
    Duration::from_secs(number(seconds)?).checked_add(Duration::from_micros(number(micros)?))
}

/// The answer in the reply to [`super::scripts::RELEASE`].
pub(super) fn release(reply: Result<Value, Unknown>) -> Release {
    match reply {
        Ok(Value::Int(_)) => Release::Done(None),
        Ok(Value::Array(parts)) => match parts.as_slice() {
            [Value::BulkString(value), Value::Int(left)] => Release::Done(Some(Sighting {
                value: String::from_utf8_lossy(value).into_owned(),
                // -1 is a key that never expires.
                left: u64::try_from(*left).ok().map(Duration::from_millis),
            })),
            _ => Release::Unknown(strange()),
        },
        Ok(_) => Release::Unknown(strange()),
        Err(unknown) => Release::Unknown(unknown),
    }
}

/// The answer to `ask` where there is no reply to read.
pub(super) fn without_reply(ask: &Ask, unknown: Unknown) -> crate::lock::Answer {
    use crate::lock::Answer;
    match ask {
        Ask::Acquire { attempt, .. } => Answer::Vote(*attempt, Vote::Unknown(unknown)),
        Ask::Extend { round, .. } => Answer::Extension(*round, Extension::Unknown(unknown)),
        Ask::Release { attempt, .. } => Answer::Release(*attempt, Release::Unknown(unknown)),
    }
}

fn strange() -> Unknown {
    Unknown::Transient("the reply is not one that Redis gives".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Refusal;

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn replies_become_answers() {
        assert_eq!(vote(Ok(Value::Okay)), Vote::Granted);
        assert_eq!(vote(Ok(Value::Nil)), Vote::Denied);
        assert!(matches!(vote(Ok(Value::Int(1))), Vote::Unknown(_)));
        for (number, expected) in
            [(1, Extension::Kept), (2, Extension::SetAgain), (3, Extension::Missing), (4, Extension::Foreign)]
        {
            assert_eq!(extension(Ok(Value::Array(vec![Value::Int(number)]))), (expected.clone(), None));
            let digits = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let with_time = Value::Array(vec![Value::Int(number), digits("1700000000"), digits("250000")]);
            assert_eq!(extension(Ok(with_time)), (expected, Some(Duration::from_millis(1_700_000_000_250))));
        }
        for (reply, expected) in [
            (Value::Int(1), Release::Done(None)),
            (Value::Int(0), Release::Done(None)),
            (
                Value::Array(vec![Value::BulkString(b"v".to_vec()), Value::Int(1500)]),
                Release::Done(Some(Sighting { value: "v".into(), left: Some(Duration::from_millis(1500)) })),
            ),
            (
                Value::Array(vec![Value::BulkString(b"v".to_vec()), Value::Int(-1)]),
                Release::Done(Some(Sighting { value: "v".into(), left: None })),
            ),
        ] {
            assert_eq!(release(Ok(reply)), expected);
        }
    }

    #[test]
    fn a_refused_password_stands_for_the_vote_even_if_the_default_user_granted() {
        let parsed = sort(vec![error("WRONGPASS invalid"), Value::Nil, Value::Okay], Some(1));
        assert!(matches!(parsed.reply, Err(Unknown::Refused(Refusal::Access, _))), "{parsed:?}");
    }

    #[test]
    fn a_refused_info_changes_nothing() {
        let parsed = sort(vec![error("NOPERM no right"), Value::Int(0), Value::Okay], Some(0));
        assert_eq!((parsed.info, parsed.reply), (None, Ok(Value::Okay)));
    }

    #[test]
    fn who_may_not_release_gets_no_lock() {
        let parsed = sort(vec![Value::Nil, error("NOPERM no right to eval"), Value::Okay], Some(0));
        assert!(matches!(parsed.reply, Err(Unknown::Refused(Refusal::Access, _))), "{parsed:?}");
    }
}
