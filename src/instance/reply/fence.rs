//! The meaning of replies about the fence.

use super::unexpected_reply;
use crate::lock::{FenceToken, FenceVote, LackingCounter, NoVoteReason, Vote};
use redis::Value;

/// The lock vote and the fence vote in the reply to [`super::super::scripts::PROPOSE`].
pub(in super::super) fn proposal(reply: Result<Value, NoVoteReason>) -> (FenceVote, Vote) {
    match fence(reply) {
        vote @ (FenceVote::Raised | FenceVote::Lacking(_)) => (vote, Vote::Granted),
        vote @ (FenceVote::Stale(_) | FenceVote::NotOurs) => (vote, Vote::Denied),
        FenceVote::Unknown(why) => (FenceVote::Unknown(why.clone()), Vote::Unknown(why)),
    }
}

/// The fence vote in the reply to [`super::super::scripts::PROPOSE`] or [`super::super::scripts::RAISE`].
pub(in super::super) fn fence(reply: Result<Value, NoVoteReason>) -> FenceVote {
    let token = |number: &Value| match number {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let parts = match reply {
        Ok(Value::Okay) => return FenceVote::Raised,
        Ok(Value::Nil) => return FenceVote::NotOurs,
        Ok(Value::Array(parts)) => parts,
        Ok(_) => return FenceVote::Unknown(unexpected_reply()),
        Err(unknown) => return FenceVote::Unknown(unknown),
    };
    let vote = match parts.as_slice() {
        [Value::Int(1), higher] => token(higher).and_then(FenceToken::new).map(FenceVote::Stale),
        [Value::Int(2), lacking @ ..] if !lacking.is_empty() => lacking
            .chunks(2)
            .map(|pair| match pair {
                [key, earlier] => Some(LackingCounter {
                    key: usize::try_from(token(key)?).ok()?,
                    earlier: FenceToken::new(token(earlier)?),
                }),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(FenceVote::Lacking),
        _ => None,
    };
    vote.unwrap_or_else(|| FenceVote::Unknown(unexpected_reply()))
}
