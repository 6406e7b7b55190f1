//! A server without room for another connection (`maxclients`), and the delay of the next try.
//!
//! Each contender takes one connection to each server. A contender that reconnected at once after a
//! refusal would take the place of every connection that ends, even of a holder that reconnects.
//!
//! A full server sends an error and closes the connection. If the request arrives after that, the
//! server's kernel replies with a reset, which may discard the error. So the end of a connection
//! before any reply counts as a refusal, too. Its delays are shorter, since the cause may be
//! another one, such as a proxy whose server restarts.

use super::pause::Pause;
use super::server_error::meaning;
use crate::lock::{NoVoteReason, Time};
use redis::Value;
use std::time::Duration;

/// The refusals of one server.
#[derive(Debug, Default)]
pub(super) struct FullServer {
    /// Whether the current connection has had a reply.
    is_greeted: bool,
    /// The pause in which a contender does not connect.
    pause: Pause,
}

impl FullServer {
    /// The delay after the first refusal. Each further refusal doubles the delay, up to
    /// [`FullServer::LONGEST`].
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(16);
    /// The same for a connection that ended before any reply.
    const SHORTEST_UNSAID: Duration = Duration::from_millis(250);
    const LONGEST_UNSAID: Duration = Duration::from_secs(4);

    /// A request was decided at `sent`.
    pub(super) const fn asked(&mut self, sent: Time) {
        self.pause.asked(sent);
    }

    /// A new connection exists. Its first reply may be a refusal.
    pub(super) const fn connected(&mut self) {
        self.is_greeted = false;
    }

    /// The server has sent this reply. Returns whether the reply refuses the connection.
    pub(super) fn replied(&mut self, reply: &Value) -> bool {
        if std::mem::replace(&mut self.is_greeted, true) {
            return false;
        }
        let Some(reason) = refusal(reply) else {
            self.pause.clear();
            return false;
        };
        self.pause.failed(Self::SHORTEST, Self::LONGEST, reason);
        true
    }

    /// The connection has ended, for `reason`.
    pub(super) fn ended(&mut self, reason: impl FnOnce() -> NoVoteReason) {
        if !std::mem::replace(&mut self.is_greeted, true) {
            self.pause.failed(Self::SHORTEST_UNSAID, Self::LONGEST_UNSAID, reason());
        }
    }

    /// Reason why a contender does not connect at `now`. `None` if the contender may connect.
    pub(super) fn reason(&self, now: Time) -> Option<NoVoteReason> {
        self.pause.reason(now)
    }
}

/// The error of a reply that refuses the connection for lack of room.
fn refusal(reply: &Value) -> Option<NoVoteReason> {
    let Value::ServerError(error) = reply else { return None };
    error.details().filter(|details| details.contains("max number of clients"))?;
    Some(meaning(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_gives_way_for_longer_after_each_refusal_until_it_is_let_in() {
        let mut full = FullServer::default();
        let begin = Time::default();
        let refusal = b"-ERR max number of clients reached\r\n";
        let refusal = redis::parse_redis_value(refusal).unwrap();
        assert_eq!(full.reason(begin), None);
        for seconds in [1, 2, 4, 8, 16, 16] {
            full.connected();
            assert!(full.replied(&refusal));
            assert_eq!(full.reason(begin.plus(Duration::from_secs(seconds))), None, "{seconds}");
            let before = begin.plus(Duration::from_millis(seconds * 1000 - 1));
            assert!(full.reason(before).is_some(), "{seconds}");
        }
        assert!(!full.replied(&refusal), "it is not the first reply on the connection");
        full.connected();
        assert!(!full.replied(&Value::Okay));
        assert_eq!(full.reason(begin), None);
    }

    #[test]
    fn a_connection_that_ends_before_any_reply_is_a_refusal_and_a_later_end_is_none() {
        let mut full = FullServer::default();
        let begin = Time::default();
        let broken = || NoVoteReason::Unreachable("the connection broke".into());
        for millis in [250, 500, 1000, 2000, 4000, 4000] {
            full.connected();
            full.ended(broken);
            assert_eq!(full.reason(begin.plus(Duration::from_millis(millis))), None, "{millis}");
            assert_eq!(full.reason(begin.plus(Duration::from_millis(millis - 1))), Some(broken()));
        }
        full.connected();
        assert!(!full.replied(&Value::Okay));
        full.ended(broken);
        assert_eq!(full.reason(begin), None, "it has replied");
    }
}
