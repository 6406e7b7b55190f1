//! The replies to one write, and their meaning.

mod fence;

pub(super) use fence::{fence, proposal};

use super::server_error::meaning;
use super::server_info::{self, Hello, ServerInfo};
use crate::lock::{
    Extension, FenceVote, LockStatus, NoVoteReason, ObservedHolder, Release, Request, Revocation,
    ServerWarning, StatusResponse, Target, Vote,
};
use redis::Value;
use std::time::Duration;

/// The purpose of one command of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// AUTH or SELECT. Without these the request would have another user or another database.
    Greeting,
    /// HELLO, unknown to old servers.
    Hello,
    /// The server's report and its mark. The rights to both may be missing.
    ServerReport,
    /// `INFO memory` and `INFO replication`. The rights to both may be missing.
    Setup,
    /// The release of a value that an earlier connection may have left behind.
    EarlierRelease,
    /// SUBSCRIBE. The right to it may be missing.
    Subscription,
    /// The request itself.
    Request,
}

/// The replies to one write, sorted by purpose.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The server's report, if requested.
    pub(super) server_info: Option<ServerInfo>,
    /// The reply to HELLO.
    pub(super) hello: Option<Hello>,
    /// Warnings about the server.
    pub(super) remarks: Vec<ServerWarning>,
    /// Whether the subscription was accepted, if one was sent.
    pub(super) subscribed: Option<bool>,
    /// The error of AUTH or SELECT, if any.
    pub(super) greeting_error: Option<NoVoteReason>,
    /// The reply to the request, or the error of a command that the request depends on.
    pub(super) reply: Result<Value, NoVoteReason>,
}

impl Parsed {
    /// No replies, for the reason `unknown`.
    pub(super) const fn nothing(unknown: NoVoteReason) -> Self {
        Self {
            server_info: None,
            hello: None,
            remarks: vec![],
            subscribed: None,
            greeting_error: None,
            reply: Err(unknown),
        }
    }
}

/// The arguments of the request for a report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// Our wall clock, since 1970.
    pub(super) wall: Duration,
    /// Whether a mark was requested.
    pub(super) marks: bool,
}

/// Sorts the replies to a write of these parts.
pub(super) fn sort(replies: Vec<Value>, parts: &[Part], asked: Asked) -> Parsed {
    let mut parsed = Parsed::nothing(unexpected_reply());
    let mut refused = None;
    for (part, reply) in parts.iter().zip(replies) {
        match (part, reply) {
            (Part::Greeting | Part::EarlierRelease, Value::ServerError(error)) => {
                let why = refused.get_or_insert_with(|| meaning(&error));
                if *part == Part::Greeting {
                    parsed.greeting_error.get_or_insert_with(|| why.clone());
                }
            }
            (Part::Hello, reply) => parsed.hello = Hello::parse(&reply),
            (Part::ServerReport, reply) => {
                parsed.server_info = Some(ServerInfo::parse(&reply, asked.wall, asked.marks));
            }
            (Part::Setup, reply) => parsed.remarks.extend(server_info::remark(&reply)),
            (Part::Greeting | Part::EarlierRelease, _) => {}
            (Part::Subscription, reply) => {
                parsed.subscribed = Some(!matches!(reply, Value::ServerError(_)));
            }
            (Part::Request, Value::ServerError(error)) => parsed.reply = Err(meaning(&error)),
            (Part::Request, reply) => parsed.reply = Ok(reply),
        }
    }
    if let Some(refused) = refused {
        parsed.reply = Err(refused);
        // After a refused AUTH or SELECT, the other replies are those of another user or database.
        (parsed.server_info, parsed.remarks) = (None, vec![]);
    }
    parsed
}

/// The vote in the reply to [`super::scripts::ACQUIRE`].
pub(super) fn vote(reply: Result<Value, NoVoteReason>) -> Vote {
    match reply {
        Ok(Value::Okay) => Vote::Granted,
        Ok(Value::Nil) => Vote::Denied,
        Ok(_) => Vote::Unknown(unexpected_reply()),
        Err(unknown) => Vote::Unknown(unknown),
    }
}

/// The response in the reply to [`super::scripts::EXTEND`], and the instance's clock.
pub(super) fn extension(reply: Result<Value, NoVoteReason>) -> (Extension, Option<Duration>) {
    let parts = match reply {
        Ok(Value::Array(parts)) => parts,
        Ok(_) => return (Extension::Unknown(unexpected_reply()), None),
        Err(unknown) => return (Extension::Unknown(unknown), None),
    };
    let extension = match parts.first() {
        Some(Value::Int(1)) => Extension::Kept,
        Some(Value::Int(2)) => Extension::SetAgain,
        Some(Value::Int(3)) => Extension::Missing,
        Some(Value::Int(4)) => {
            let by = parts.get(3).and_then(server_info::text).and_then(Revocation::parse);
            by.map_or(Extension::Foreign, Extension::Revoked)
        }
        _ => Extension::Unknown(unexpected_reply()),
    };
    (extension, server_info::clock(parts.get(1..3).unwrap_or_default()))
}

/// The response in the reply to [`super::scripts::RELEASE`].
pub(super) fn release(reply: Result<Value, NoVoteReason>) -> Release {
    match reply {
        Ok(Value::Int(_)) => Release::Done(None),
        Ok(Value::Array(parts)) => match parts.as_slice() {
            [Value::BulkString(value), Value::Int(left)] => Release::Done(Some(ObservedHolder {
                value: String::from_utf8_lossy(value).into_owned(),
                // -1 is a key that never expires.
                left: u64::try_from(*left).ok().map(Duration::from_millis),
            })),
            _ => Release::Unknown(unexpected_reply()),
        },
        Ok(_) => Release::Unknown(unexpected_reply()),
        Err(unknown) => Release::Unknown(unknown),
    }
}

/// The response in the reply to [`super::scripts::WATCH`].
pub(super) fn status(reply: Result<Value, NoVoteReason>, target: &Target) -> StatusResponse {
    let parts = match reply {
        Ok(Value::Array(parts)) => parts,
        Ok(_) => return StatusResponse::Unknown(unexpected_reply()),
        Err(unknown) => return StatusResponse::Unknown(unknown),
    };
    let [Value::Int(place), Value::BulkString(value), left @ ..] = parts.as_slice() else {
        return StatusResponse::Unknown(unexpected_reply());
    };
    let left: Option<Vec<i64>> = left
        .iter()
        .map(|left| if let Value::Int(left) = left { Some(*left) } else { None })
        .collect();
    let Some(left) = left.filter(|left| left.len() == target.keys().len()) else {
        return StatusResponse::Unknown(unexpected_reply());
    };
    // pttl: -2 is a missing key, -1 a key that never expires.
    let free: Vec<bool> = left.iter().map(|left| *left == -2).collect();
    let lengths =
        left.iter().filter_map(|left| u64::try_from(*left).ok()).map(Duration::from_millis);
    // Any slot suffices. Of several keys, all are needed.
    let left = if target.slot_count() > 1 { lengths.min() } else { lengths.max() };
    let holder = free.iter().any(|free| !free);
    let value = String::from_utf8_lossy(value).into_owned();
    StatusResponse::Seen(LockStatus {
        free: target.free_slots(&free),
        holder: holder.then_some(ObservedHolder { value, left }),
        place: u32::try_from(*place).ok(),
    })
}

/// The response to `request` if there is no reply.
pub(super) fn without_reply(request: &Request, unknown: NoVoteReason) -> crate::lock::Response {
    use crate::lock::Response;
    match request {
        Request::Acquire { attempt, .. } => Response::Vote(*attempt, Vote::Unknown(unknown)),
        Request::Raise { attempt, .. } => Response::Fence(*attempt, FenceVote::Unknown(unknown)),
        Request::Extend { .. } => Response::Extension(Extension::Unknown(unknown)),
        Request::Release { attempt, .. } => Response::Release(*attempt, Release::Unknown(unknown)),
        Request::Status(_) => Response::Status(StatusResponse::Unknown(unknown)),
    }
}

/// The reason for a reply that no Redis server gives.
pub(super) fn unexpected_reply() -> NoVoteReason {
    NoVoteReason::Transient("the reply is not one that Redis gives".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::PermanentError;

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn replies_become_answers() {
        assert_eq!(vote(Ok(Value::Okay)), Vote::Granted);
        assert_eq!(vote(Ok(Value::Nil)), Vote::Denied);
        assert!(matches!(vote(Ok(Value::Int(1))), Vote::Unknown(_)));
        for (number, expected) in [
            (1, Extension::Kept),
            (2, Extension::SetAgain),
            (3, Extension::Missing),
            (4, Extension::Foreign),
        ] {
            assert_eq!(
                extension(Ok(Value::Array(vec![Value::Int(number)]))),
                (expected.clone(), None)
            );
            let digits = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let time = [digits("1700000000"), digits("250000")];
            let with_time = Value::Array([vec![Value::Int(number)], time.to_vec()].concat());
            assert_eq!(
                extension(Ok(with_time)),
                (expected, Some(Duration::from_millis(1_700_000_000_250)))
            );
        }
        let revocation = Revocation::new("ops@web2", Some("it hangs"), 1);
        let value = revocation.header() + &Revocation::foreign_rest("sha256:00");
        let reply =
            vec![Value::Int(4), Value::Nil, Value::Nil, Value::BulkString(value.into_bytes())];
        assert_eq!(extension(Ok(Value::Array(reply))), (Extension::Revoked(revocation), None));
        for (reply, expected) in [
            (Value::Int(1), Release::Done(None)),
            (Value::Int(0), Release::Done(None)),
            (
                Value::Array(vec![Value::BulkString(b"v".to_vec()), Value::Int(1500)]),
                Release::Done(Some(ObservedHolder {
                    value: "v".into(),
                    left: Some(Duration::from_millis(1500)),
                })),
            ),
            (
                Value::Array(vec![Value::BulkString(b"v".to_vec()), Value::Int(-1)]),
                Release::Done(Some(ObservedHolder { value: "v".into(), left: None })),
            ),
        ] {
            assert_eq!(release(Ok(reply)), expected);
        }
    }

    #[test]
    fn a_status_that_does_not_tell_of_every_key_is_no_status() {
        let target = Target::slots(&crate::lock::Key::literal("k").unwrap(), 2);
        let value = || Value::BulkString(vec![]);
        for (left, is_seen) in [
            (vec![Value::Int(-2), Value::Int(5)], true),
            (vec![Value::Int(-2)], false),
            (vec![Value::Int(-2), Value::Nil], false),
            (vec![Value::Int(-2); 3], false),
        ] {
            let parts = [vec![Value::Int(0), value()], left.clone()].concat();
            let status = status(Ok(Value::Array(parts)), &target);
            assert_eq!(matches!(status, StatusResponse::Seen(_)), is_seen, "{left:?}");
        }
    }

    #[test]
    fn a_refused_password_stands_for_the_vote_even_if_the_default_user_granted() {
        let parts = [Part::Greeting, Part::Request, Part::ServerReport];
        let parsed = sort(
            vec![error("WRONGPASS invalid"), Value::Okay, Value::Nil],
            &parts,
            Asked::default(),
        );
        assert!(
            matches!(parsed.reply, Err(NoVoteReason::Refused(PermanentError::Access, _))),
            "{parsed:?}"
        );
        assert_eq!(parsed.server_info, None, "its silence is no news");
    }

    #[test]
    fn optional_commands_may_be_refused() {
        let parts = [
            Part::Hello,
            Part::EarlierRelease,
            Part::Setup,
            Part::Subscription,
            Part::Request,
            Part::ServerReport,
        ];
        let no = || error("NOPERM no right");
        let parsed = sort(
            vec![no(), Value::Int(0), no(), no(), Value::Okay, no()],
            &parts,
            Asked::default(),
        );
        assert_eq!(parsed.server_info.unwrap().account, Some(crate::lock::Account::NotPermitted));
        assert_eq!((parsed.hello, parsed.remarks), (None, vec![]));
        assert_eq!((parsed.subscribed, parsed.reply), (Some(false), Ok(Value::Okay)));
    }

    #[test]
    fn a_refused_release_of_an_earlier_value_stands_for_the_vote() {
        let parts = [Part::EarlierRelease, Part::Request, Part::ServerReport];
        let parsed = sort(
            vec![error("NOPERM no right to eval"), Value::Okay, Value::Nil],
            &parts,
            Asked::default(),
        );
        assert!(
            matches!(parsed.reply, Err(NoVoteReason::Refused(PermanentError::Access, _))),
            "{parsed:?}"
        );
    }
}
