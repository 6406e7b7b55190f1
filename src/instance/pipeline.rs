//! One connection to one instance, strictly first in, first out. Requests go into one stream of
//! bytes, and the replies come in the same order. No request is sent twice, and no time limit ends
//! the connection.

use super::resp;
use super::tls::refusal_after_it;
use super::transport::Transport;
use crate::lock::NoVoteReason;
use redis::{Cmd, PushKind, Value};
use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A connection and its buffers.
pub(super) struct Pipeline {
    transport: Transport,
    /// Bytes that the kernel has not taken yet.
    outgoing: Vec<u8>,
    /// Bytes that were received and not parsed yet.
    incoming: resp::ReplyBuffer,
    /// Number of bytes ever queued for the kernel, and number of these that the kernel has taken.
    queued: u64,
    written: u64,
    /// No more bytes can be written. Replies may still come.
    is_write_closed: bool,
    /// The command that makes the server close the connection was sent.
    is_last_sent: bool,
    heard: Heard,
    /// Number of reads left in this turn, before other work has its turn.
    reads_left: u32,
    /// Number of messages since the last reply to a request.
    unasked: u32,
    push: PushSupport,
}

/// Whether a push of the server would be received on a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PushSupport {
    server: Server,
    subscription: Subscription,
}

/// Data received so far on a connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Heard {
    Nothing,
    /// Less than one reply.
    Bytes,
    Replies,
}

/// Whether a server sends pushes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Server {
    /// No reply yet.
    #[default]
    Unknown,
    /// The server sends only replies.
    RepliesOnly,
    /// The server sends pushes, too.
    Pushes,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Subscription {
    #[default]
    Unasked,
    Asked,
    Refused,
}

impl PushSupport {
    /// Whether a wake-up would be received.
    pub(super) fn can_listen(self) -> bool {
        self.server == Server::Pushes && self.subscription != Subscription::Refused
    }

    /// Whether the subscription is to be sent now. If so, marks the subscription as sent.
    pub(super) fn ask(&mut self) -> bool {
        let asks = self.can_listen() && self.subscription == Subscription::Unasked;
        if asks {
            self.subscription = Subscription::Asked;
        }
        asks
    }

    /// Whether this connection has a place in a queue.
    pub(super) fn has_asked(self) -> bool {
        self.subscription != Subscription::Unasked
    }

    /// Whether the server has replied to HELLO.
    pub(super) fn is_greeted(self) -> bool {
        self.server != Server::Unknown
    }

    /// Takes the replies to HELLO and SUBSCRIBE of one write.
    pub(super) fn learn(&mut self, pushes: bool, subscribed: Option<bool>) {
        if pushes {
            self.server = Server::Pushes;
        } else if self.server == Server::Unknown {
            self.server = Server::RepliesOnly;
        }
        if subscribed == Some(false) {
            self.subscription = Subscription::Refused;
        }
    }
}

/// A message from the server.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A reply to the first command without a reply.
    Reply(Value),
    /// A message published on our channel.
    Wake(Vec<u8>),
    /// The end of the connection.
    End(ConnectionEnd),
}

/// Kind of the end of a connection.
#[derive(Debug)]
pub(super) enum ConnectionEnd {
    /// The connection broke, or was closed.
    Broken,
    /// The server sent the reason as a TLS alert.
    Refused(NoVoteReason),
    /// The bytes were no reply.
    Malformed,
}

impl Pipeline {
    /// Largest number of reads in one turn, of 4 KiB each.
    const READS: u32 = 8;
    /// Largest number of pushes between two replies. A contender is woken for one release at a
    /// time.
    const UNASKED_MAX: u32 = 256;

    pub(super) fn new(transport: Transport) -> Self {
        Self::with_room(transport, resp::MOST_BYTES)
    }

    /// A pipeline for replies of at most `most_bytes`.
    pub(super) fn with_room(transport: Transport, most_bytes: usize) -> Self {
        Self {
            transport,
            outgoing: Vec::new(),
            incoming: resp::ReplyBuffer::with_room(most_bytes),
            queued: 0,
            written: 0,
            is_write_closed: false,
            is_last_sent: false,
            heard: Heard::Nothing,
            reads_left: Self::READS,
            unasked: 0,
            push: PushSupport::default(),
        }
    }

    /// The byte stream.
    pub(super) const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The push support of the connection.
    pub(super) const fn push(&self) -> PushSupport {
        self.push
    }

    /// The push support, mutable.
    pub(super) const fn push_mut(&mut self) -> &mut PushSupport {
        &mut self.push
    }

    /// Whether no request was sent yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.queued == 0
    }

    /// Whether the connection has ended, and no read has reported it yet.
    pub(super) fn has_ended_unseen(&self) -> bool {
        !self.is_fresh() && self.transport.is_closed_by_server()
    }

    /// A new turn begins, in which a bounded number of bytes is read.
    pub(super) const fn begin_turn(&mut self) {
        self.reads_left = Self::READS;
    }

    /// Notes that a reply to a request has come.
    pub(super) const fn was_asked(&mut self) {
        self.unasked = 0;
    }

    /// Whether any byte was ever received.
    pub(super) fn has_answered(&self) -> bool {
        self.heard != Heard::Nothing
    }

    /// Whether the server reads every byte that the kernel has taken, even if redlock ends now.
    ///
    /// A server writes session tickets and its first reply before it reads a second record of TLS.
    /// If the socket is closed by then, a reset comes back, and the server may read no further.
    pub(super) fn outlives_redlock(&self) -> bool {
        !self.transport.is_encrypted() || self.heard == Heard::Replies
    }

    /// Whether the kernel has taken every byte that it will ever take.
    pub(super) const fn is_flushed(&self) -> bool {
        self.is_write_closed || self.written >= self.queued
    }

    /// Appends `commands` to the bytes to send. [`Pipeline::flush`] writes these bytes. Returns the
    /// number of bytes that the kernel has taken once it has the last byte of `commands`.
    pub(super) fn send<'a>(&mut self, commands: impl IntoIterator<Item = &'a Cmd>) -> u64 {
        let before = self.outgoing.len();
        commands.into_iter().for_each(|command| command.write_packed_command(&mut self.outgoing));
        self.queued = self.queued.saturating_add(length(self.outgoing.len() - before));
        self.queued
    }

    /// Sends the command after which the server closes the connection. Otherwise as
    /// [`Pipeline::send`].
    pub(super) fn send_last(&mut self, command: &Cmd) -> u64 {
        self.is_last_sent = true;
        self.send([command])
    }

    /// Whether the last request was sent. After its reply the connection is of no more use.
    pub(super) const fn is_last_sent(&self) -> bool {
        self.is_last_sent
    }

    /// Number of bytes that the kernel has taken. These bytes reach the server even if redlock
    /// ends.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Writes as many bytes as the kernel takes now.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        if !self.is_write_closed && self.written < self.queued && self.try_to_flush(cx).is_err() {
            self.is_write_closed = true;
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
            // TLS passes bytes on in order. While TLS holds some back, the last bytes do not count
            // as taken. Once it holds none, the kernel has all of them.
            self.written = self.queued.saturating_sub(length(self.outgoing.len()));
        }
        Ok(())
    }

    /// The next message.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if self.unasked > Self::UNASKED_MAX {
                return Poll::Ready(Delivery::End(ConnectionEnd::Malformed));
            }
            match self.incoming.take() {
                // The reply to a subscription is a push.
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
                Ok(Some(reply)) => {
                    self.heard = Heard::Replies;
                    return Poll::Ready(Delivery::Reply(reply));
                }
                Err(resp::Malformed) => {
                    return Poll::Ready(Delivery::End(ConnectionEnd::Malformed));
                }
                // A server that sends without end must not delay other work, such as a deadline.
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
                            return Poll::Ready(Delivery::End(ConnectionEnd::Broken));
                        }
                        Poll::Ready(Ok(())) => {
                            self.heard = self.heard.max(Heard::Bytes);
                            self.incoming.extend(bytes.filled());
                        }
                        Poll::Ready(Err(error)) => {
                            let end = refusal_after_it(&error)
                                .map_or(ConnectionEnd::Broken, ConnectionEnd::Refused);
                            return Poll::Ready(Delivery::End(end));
                        }
                        Poll::Pending if self.is_write_closed => {
                            return Poll::Ready(Delivery::End(ConnectionEnd::Broken));
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
