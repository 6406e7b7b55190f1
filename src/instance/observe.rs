//! The state of some keys and their queues on one instance. Nothing is changed on the server.

use super::inspector::{Inspector, checked};
use super::reply::unexpected_reply;
use super::scripts::{OBSERVE, PEEK};
use super::server_info::{ServerInfo, text};
use crate::lock::{
    FirstInQueue, NoVoteReason, Observation, ObservedHolder, QueueView, RestartGuard, ServerReport,
};
use redis::{Cmd, Value};
use std::time::Duration;

/// The keys and queues to observe.
#[derive(Clone, Debug)]
pub struct Subjects {
    /// The keys.
    pub keys: Vec<String>,
    /// The sorted sets of the queues.
    pub queues: Vec<String>,
    /// Without a guard, the mark is not read.
    pub guard: RestartGuard,
    /// Our wall clock, since 1970.
    pub wall: Duration,
}

impl Inspector {
    /// The state of `subjects` on the instance.
    ///
    /// # Errors
    /// When it does not answer, refuses, or can never be an instance.
    pub async fn observe(&mut self, subjects: &Subjects) -> Result<Observation, NoVoteReason> {
        let replies = self.ask(&[subjects.observe(), subjects.peek()]).await?;
        let [observed, account] =
            <[Value; 2]>::try_from(replies).map_err(|_| unexpected_reply())?;
        let marks = subjects.guard != RestartGuard::Off;
        let info = ServerInfo::parse(&account, subjects.wall, marks);
        let unsupported = self.hello().and_then(super::server_info::Hello::unsupported);
        let mode = self.hello().and_then(|hello| hello.mode);
        if let Some(why) = unsupported.or_else(|| info.unsupported(mode)) {
            return Err(why);
        }
        let (keys, queues) =
            read(checked(observed)?, subjects.keys.len()).ok_or_else(unexpected_reply)?;
        let report = ServerReport { account: info.account, marking: info.marking };
        Ok(Observation { keys, queues, report })
    }
}

impl Subjects {
    fn observe(&self) -> Cmd {
        let mut eval = Cmd::new();
        eval.arg("EVAL").arg(OBSERVE).arg(self.keys.len()).arg(&self.keys).arg(&self.queues);
        eval
    }

    /// The request for the mark. It goes behind the keys: a server that loses its memory between
    /// the two loses the keys as well.
    fn peek(&self) -> Cmd {
        let mut eval = Cmd::new();
        eval.arg("EVAL").arg(PEEK).arg(0).arg(i32::from(self.guard != RestartGuard::Off));
        eval
    }
}

type Views = (Vec<Option<ObservedHolder>>, Vec<QueueView>);

/// The reply to [`OBSERVE`]: value and PTTL of each key, then length, first id and score of each
/// queue.
pub(super) fn read(reply: Value, keys: usize) -> Option<Views> {
    let Value::Array(parts) = reply else { return None };
    let (of_keys, of_queues) = parts.split_at_checked(keys.checked_mul(2)?)?;
    let holder = |pair: &[Value]| match pair {
        [_, Value::Int(-2)] => Some(None),
        [Value::BulkString(value), Value::Int(left)] => Some(Some(ObservedHolder {
            value: String::from_utf8_lossy(value).into_owned(),
            // -1 is a key that never expires.
            left: u64::try_from(*left).ok().map(Duration::from_millis),
        })),
        _ => None,
    };
    let queue = |parts: &[Value]| {
        let [Value::Int(waiting), id, score] = parts else { return None };
        let since = text(score)?.split(['.', 'e']).next()?.parse().ok();
        let first = text(id).filter(|id| !id.is_empty()).map(|id| FirstInQueue {
            id: id.to_owned(),
            since: Duration::from_micros(since.unwrap_or_default()),
        });
        Some(QueueView { waiting: u32::try_from(*waiting).unwrap_or_default(), first })
    };
    let holders = of_keys.chunks(2).map(holder).collect::<Option<_>>()?;
    Some((holders, of_queues.chunks(3).map(queue).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_reply_has_keys_and_queues() {
        let reply = Value::Array(vec![
            bulk("v"),
            Value::Int(1500),
            bulk(""),
            Value::Int(-2),
            bulk("w"),
            Value::Int(-1),
            Value::Int(2),
            bulk("4fa2"),
            bulk("1700000000000000"),
            Value::Int(0),
            bulk(""),
            bulk(""),
        ]);
        let (keys, queues) = read(reply, 3).unwrap();
        let holder = |value: &str, left: Option<u64>| {
            Some(ObservedHolder { value: value.into(), left: left.map(Duration::from_millis) })
        };
        assert_eq!(keys, [holder("v", Some(1500)), None, holder("w", None)]);
        let first = FirstInQueue { id: "4fa2".into(), since: Duration::from_secs(1_700_000_000) };
        assert_eq!(queues, [QueueView { waiting: 2, first: Some(first) }, QueueView::default()]);
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![bulk("v"), bulk("w")]),
            Value::Array(vec![bulk("v"), Value::Int(1), Value::Int(2)]),
        ] {
            assert_eq!(read(reply, 1), None);
        }
    }
}
