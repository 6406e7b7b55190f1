//! Lets the crate believe that it has greeted the server.
//!
//! Messages of the server's own accord come only to a connection that the crate was told speaks RESP3; it then sends
//! HELLO and waits for the answer before it does anything else, which is a round trip. Our own HELLO goes in one write
//! with the first request, so the crate's is taken here and answered here, and never sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose first write is swallowed and answered with an empty map.
#[derive(Debug)]
pub(super) struct Silent<S> {
    stream: S,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Unasked,
    Asked,
    Answered,
}

impl<S> Silent<S> {
    const ANSWER: &'static [u8] = b"%0\r\n";

    pub(super) const fn new(stream: S) -> Self {
        Self { stream, state: State::Unasked }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Silent<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.state == State::Asked && buf.remaining() >= Self::ANSWER.len() {
            self.state = State::Answered;
            buf.put_slice(Self::ANSWER);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Silent<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.state == State::Unasked {
            self.state = State::Asked;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn the_first_write_is_answered_here_and_the_next_goes_through() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let mut stream = Silent::new(ours);
            stream.write_all(b"HELLO 3").await.unwrap();
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"%0\r\n");
            stream.write_all(b"PING").await.unwrap();
            theirs.write_all(b"PONG").await.unwrap();
            let mut seen = [0; 4];
            theirs.read_exact(&mut seen).await.unwrap();
            assert_eq!(&seen, b"PING", "nothing went before it");
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"PONG");
        });
    }
}
