//! One connection to one instance, strictly first in, first out: what is sent goes into one line of
//! bytes, and the replies come in its order. Nothing is sent twice, and no time limit ends it.

use super::resp;
use super::tls::refusal_after_it;
use super::transport::Transport;
use crate::lock::NoVoteReason;
use redis::{Cmd, PushKind, Value};
use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A connection, and what was sent on it.
pub(super) struct Pipeline {
    transport: Transport,
    /// What the kernel has not taken yet.
    outgoing: Vec<u8>,
    /// What came and was not read yet.
    incoming: resp::ReplyBuffer,
    /// How many bytes were ever sent, and how many of them the kernel has.
    queued: u64,
    written: u64,
    /// Nothing more can be written; what the server said before that may still come.
    is_deaf: bool,
    /// The server was told to close the connection.
    is_last_sent: bool,
    has_answered: bool,
    /// How often more may be read before other work has its turn.
    reads_left: u32,
    /// How much has come since the last reply that was not asked for.
    unasked: u32,
    push: PushSupport,
}

/// Whether anything that the server says of its own accord would be heard on a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PushSupport {
    server: Server,
    subscription: Subscription,
}

/// What is known of how a server speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Server {
    /// It has not answered yet.
    #[default]
    Strange,
    /// It only answers.
    Answers,
    /// It says something of its own accord too.
    Speaks,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Subscription {
    #[default]
    Unasked,
    Asked,
    Refused,
}

impl PushSupport {
    /// Whether a wake-up would be heard.
    pub(super) fn can_listen(self) -> bool {
        self.server == Server::Speaks && self.subscription != Subscription::Refused
    }

    /// Whether the subscription is to be sent now; from then on it was.
    pub(super) fn ask(&mut self) -> bool {
        let asks = self.can_listen() && self.subscription == Subscription::Unasked;
        if asks {
            self.subscription = Subscription::Asked;
        }
        asks
    }

    /// Whether this connection stands in a queue.
    pub(super) fn has_asked(self) -> bool {
        self.subscription != Subscription::Unasked
    }

    /// Whether it is known what the server speaks.
    pub(super) fn is_greeted(self) -> bool {
        self.server != Server::Strange
    }

    /// What the replies to one write say of it.
    pub(super) fn learn(&mut self, speaks: bool, subscribed: Option<bool>) {
        if speaks {
            self.server = Server::Speaks;
        } else if self.server == Server::Strange {
            self.server = Server::Answers;
        }
        if subscribed == Some(false) {
            self.subscription = Subscription::Refused;
        }
    }
}

/// What comes from the server.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A reply to the first command that has none yet.
    Reply(Value),
    /// This was published where we listen.
    Wake(Vec<u8>),
    /// The connection is over.
    End(End),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// It broke, or was closed.
    Broken,
    /// The server said why, in TLS.
    Refused(NoVoteReason),
    /// What came was no reply.
    Malformed,
}

impl Pipeline {
    /// How often is read in one turn, 4 KiB each time.
    const READS: u32 = 8;
    /// How much a server may say of its own accord between two replies. A waiter hears of one
    /// release at a time.
    const UNASKED_MAX: u32 = 256;

    pub(super) fn new(transport: Transport) -> Self {
        Self::with_room(transport, resp::MOST_BYTES)
    }

    /// The same for replies of up to so many bytes.
    pub(super) fn with_room(transport: Transport, most_bytes: usize) -> Self {
        Self {
            transport,
            outgoing: Vec::new(),
            incoming: resp::ReplyBuffer::with_room(most_bytes),
            queued: 0,
            written: 0,
            is_deaf: false,
            is_last_sent: false,
            has_answered: false,
            reads_left: Self::READS,
            unasked: 0,
            push: PushSupport::default(),
        }
    }

    /// Whether the server would be heard.
    pub(super) const fn push(&self) -> PushSupport {
        self.push
    }

    /// The same, for who learns more of it.
    pub(super) const fn ears_mut(&mut self) -> &mut PushSupport {
        &mut self.push
    }

    /// Whether nothing was sent yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.queued == 0
    }

    /// A new turn begins, in which a bounded number of bytes is read.
    pub(super) const fn begin_turn(&mut self) {
        self.reads_left = Self::READS;
    }

    /// A reply that was asked for has come.
    pub(super) const fn was_asked(&mut self) {
        self.unasked = 0;
    }

    /// Whether anything ever came.
    pub(super) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether the kernel has all that it will ever take.
    pub(super) const fn is_flushed(&self) -> bool {
        self.is_deaf || self.written >= self.queued
    }

    /// Puts `commands` behind all that was sent before; [`Pipeline::flush`] writes them. Answers
    /// how many bytes the kernel has taken when it has these.
    pub(super) fn send<'a>(&mut self, commands: impl IntoIterator<Item = &'a Cmd>) -> u64 {
        let before = self.outgoing.len();
        commands.into_iter().for_each(|command| command.write_packed_command(&mut self.outgoing));
        self.queued = self.queued.saturating_add(length(self.outgoing.len() - before));
        self.queued
    }

    /// The same for the command after which the server closes the connection.
    pub(super) fn send_last(&mut self, command: &Cmd) -> u64 {
        self.is_last_sent = true;
        self.send([command])
    }

    /// Whether nobody needs to hear what comes when all requests have been answered.
    pub(super) const fn is_last_sent(&self) -> bool {
        self.is_last_sent
    }

    /// How many bytes the kernel has taken. What it has reaches the server even if redlock ends.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Writes what the kernel takes now.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        if !self.is_deaf && self.written < self.queued && self.try_to_flush(cx).is_err() {
            self.is_deaf = true;
        }
    }

    fn try_to_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.transport.poll_write(cx, &self.outgoing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => drop(self.outgoing.drain(..count?)),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(flushed) = self.transport.poll_flush(cx) {
            flushed?;
            // TLS passes bytes on in their order: where it keeps none, the kernel has all of them,
            // and before that none of the last ones is counted.
            self.written = self.queued.saturating_sub(length(self.outgoing.len()));
        }
        Ok(())
    }

    /// The next thing that comes.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if self.unasked > Self::UNASKED_MAX {
                return Poll::Ready(Delivery::End(End::Malformed));
            }
            match self.incoming.take() {
                // A subscription is answered like this.
                Ok(Some(reply @ Value::Push { kind: PushKind::Subscribe, .. })) => {
                    return Poll::Ready(Delivery::Reply(reply));
                }
                Ok(Some(Value::Push { kind: PushKind::Message, mut data }))
                    if self.push.has_asked() =>
                {
                    self.unasked += 1;
                    if let Some(Value::BulkString(message)) = data.pop() {
                        return Poll::Ready(Delivery::Wake(message));
                    }
                }
                Ok(Some(Value::Push { .. })) => self.unasked += 1,
                Ok(Some(reply)) => return Poll::Ready(Delivery::Reply(reply)),
                Err(resp::Malformed) => return Poll::Ready(Delivery::End(End::Malformed)),
                // A server that sends without end must not keep us from what else there is to do,
                // such as a deadline.
                Ok(None) if self.reads_left == 0 => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(None) => {
                    self.reads_left -= 1;
                    let mut room = [MaybeUninit::uninit(); 4096];
                    let mut bytes = ReadBuf::uninit(&mut room);
                    match self.transport.poll_read(cx, &mut bytes) {
                        Poll::Ready(Ok(())) if bytes.filled().is_empty() => {
                            return Poll::Ready(Delivery::End(End::Broken));
                        }
                        Poll::Ready(Ok(())) => {
                            self.has_answered = true;
                            self.incoming.extend(bytes.filled());
                        }
                        Poll::Ready(Err(error)) => {
                            let end = refusal_after_it(&error).map_or(End::Broken, End::Refused);
                            return Poll::Ready(Delivery::End(end));
                        }
                        Poll::Pending if self.is_deaf => {
                            return Poll::Ready(Delivery::End(End::Broken));
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
