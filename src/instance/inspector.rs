//! One connection for questions that take no lock. Each question is answered before the next is
//! sent.
//!
//! A question leaves nothing to release and is never sent again. If the connection breaks or the
//! time limit passes, the question fails.

use super::commands::{greeting, hello};
use super::endpoint::Endpoint;
use super::in_flight::NO_REDIS;
use super::pipeline::{ConnectionEnd, Delivery, Pipeline};
use super::server_error::meaning;
use super::server_info::Hello;
use super::transport::{Route, Transport};
use crate::lock::NoVoteReason;
use redis::{Cmd, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A connection to one instance, after AUTH and SELECT.
pub struct Inspector {
    endpoint: Arc<Endpoint>,
    pipeline: Pipeline,
    /// Commands in front of the first question. The first `must_pass` of them must not be refused.
    opening: Vec<Cmd>,
    must_pass: usize,
    hello: Option<Hello>,
    hello_refused: Option<NoVoteReason>,
    /// Time limit of one question.
    limit: Duration,
}

impl Inspector {
    /// Longest reply, in bytes. A page of a list may have 500 values of 4 KiB.
    const MOST_BYTES: usize = 4 << 20;

    /// A connection to `endpoint`, made within `limit`.
    ///
    /// # Errors
    /// When it cannot be made, with the reason.
    pub async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Self, NoVoteReason> {
        let endpoint = Arc::new(endpoint.clone());
        let mut opening = greeting(&endpoint);
        let must_pass = opening.len();
        if endpoint.may_greet() {
            opening.push(hello());
        }
        // A little less than the caller's time limit, so that the reason is still received.
        let limit = limit * 15 / 16;
        let (_, transport) =
            Transport::reach(Arc::clone(&endpoint), Route::default(), limit, limit).await;
        let pipeline = Pipeline::with_room(transport?, Self::MOST_BYTES);
        Ok(Self { endpoint, pipeline, opening, must_pass, hello: None, hello_refused: None, limit })
    }

    /// Sends `commands` in one write. Returns a reply for each, which may be an error reply.
    ///
    /// # Errors
    /// When AUTH or SELECT is refused, when the connection ends, or when it takes too long.
    pub(super) async fn ask(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, NoVoteReason> {
        let limit = self.limit;
        timeout(limit, self.exchange(commands)).await.unwrap_or(Err(NoVoteReason::TimedOut))
    }

    async fn exchange(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, NoVoteReason> {
        let opening = std::mem::take(&mut self.opening);
        self.pipeline.send(&opening);
        self.pipeline.send(commands);
        for number in 0..opening.len() {
            match self.reply().await? {
                Value::ServerError(error) if number < self.must_pass => {
                    return Err(meaning(&error));
                }
                Value::ServerError(error) => self.hello_refused = Some(meaning(&error)),
                reply if number >= self.must_pass => self.hello = Hello::parse(&reply),
                _ => {}
            }
        }
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// The next message of the server without a question, within the time limit.
    pub(super) async fn listen(&mut self) -> Result<Value, NoVoteReason> {
        let limit = self.limit;
        timeout(limit, self.reply()).await.unwrap_or(Err(NoVoteReason::TimedOut))
    }

    /// Sends the first question without AUTH and SELECT before it.
    pub(super) fn forget_login(&mut self) {
        (self.opening, self.must_pass) = (vec![], 0);
    }

    /// The time from `now`, since 1970, until a certificate of the server or of its signers
    /// expires. `None` if that is later than `soon`.
    #[must_use]
    pub fn certificate_left(&self, now: Duration, soon: Duration) -> Option<Duration> {
        self.pipeline.transport().certificate_left(self.endpoint.channel().ok()??, now, soon)
    }

    /// The server's reply to HELLO.
    pub(super) const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Why the server refused HELLO.
    pub(super) const fn hello_refused(&self) -> Option<&NoVoteReason> {
        self.hello_refused.as_ref()
    }

    async fn reply(&mut self) -> Result<Value, NoVoteReason> {
        let delivery = std::future::poll_fn(|cx| {
            self.pipeline.begin_turn();
            self.pipeline.flush(cx);
            self.pipeline.poll_next(cx)
        });
        match delivery.await {
            Delivery::Reply(reply) => {
                self.pipeline.was_asked();
                Ok(reply)
            }
            // The connection has no subscription.
            Delivery::Wake(_) | Delivery::End(ConnectionEnd::Malformed) => {
                Err(NoVoteReason::Unreachable(NO_REDIS.into()))
            }
            Delivery::End(ConnectionEnd::Refused(why)) => Err(why),
            Delivery::End(ConnectionEnd::Broken) => {
                Err(NoVoteReason::Unreachable("the connection broke".into()))
            }
        }
    }
}

/// The reply, or the meaning of an error reply.
pub(super) fn checked(reply: Value) -> Result<Value, NoVoteReason> {
    match reply {
        Value::ServerError(error) => Err(meaning(&error)),
        reply => Ok(reply),
    }
}
