//! The byte stream of one connection, with a gauge of how much of it the kernel has taken.

use super::endpoint::{Address, Endpoint};
use super::tls::{Encrypted, is_flushed, refusal_after_it};
use crate::lock::Unknown;
use nix::sys::socket::{SetSockOpt as _, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

/// How many bytes the kernel has taken, and what the server said last. What the kernel has taken reaches the server even
/// if redlock ends.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    written: AtomicU64,
    changed: Notify,
    /// The server's last word, if it was one. It may come before anything was asked, and then nobody but this hears it.
    refusal: OnceLock<Unknown>,
}

impl Gauge {
    /// Why the server ended the connection, if it said so.
    pub(super) fn refusal(&self) -> Option<Unknown> {
        self.refusal.get().cloned()
    }

    /// Returns once the kernel has taken `bytes` in all; never, if the connection breaks before that.
    pub(super) async fn reaches(&self, bytes: u64) {
        loop {
            let changed = self.changed.notified();
            if self.written.load(Ordering::Relaxed) >= bytes {
                return;
            }
            changed.await;
        }
    }
}

/// How one instance is reached, and how far the last try came.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The address that worked. A host name is looked up once, since another address of the same name may be another
    /// server.
    pinned: Option<SocketAddr>,
    is_shaking_hands: bool,
}

impl Route {
    /// What it means that the last try took too long.
    pub(super) fn timed_out(&self) -> Unknown {
        if self.is_shaking_hands {
            // A server without TLS waits in silence for the end of the line.
            return Unknown::Unreachable("timed out in the TLS handshake; does it speak TLS on this port?".into());
        }
        Unknown::TimedOut
    }
}

/// A connection to an instance.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// How many bytes were taken from who writes. With TLS the kernel may not have them all.
    accepted: u64,
    gauge: Arc<Gauge>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Encrypted>),
}

/// What can be read and written, whatever is under it.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Stream {
    fn duplex(&mut self) -> Pin<&mut (dyn Duplex + Send)> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }

    /// Whether the kernel has all that was written.
    fn is_flushed(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => true,
            Self::Tls(stream) => is_flushed(stream),
        }
    }
}

impl Wire {
    /// Connects to `endpoint`, and gives up on it when the other kernel acknowledges nothing for `silence`.
    pub(super) async fn connect(endpoint: &Endpoint, route: &mut Route, silence: Duration) -> io::Result<Self> {
        route.is_shaking_hands = false;
        let stream = match endpoint.address() {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            Address::Tcp(host, port) => {
                let stream = match (route.pinned, host.parse::<IpAddr>()) {
                    (Some(known), _) => TcpStream::connect(known).await?,
                    (None, Ok(ip)) => TcpStream::connect(SocketAddr::new(ip, *port)).await?,
                    (None, Err(_)) => {
                        let stream = TcpStream::connect((host.as_str(), *port)).await?;
                        route.pinned = Some(stream.peer_addr()?);
                        stream
                    }
                };
                stream.set_nodelay(true)?;
                // The other kernel, not the server, has been silent for this long: nothing will come of it, and a host
                // that is back is not noticed for minutes (tcp(7)).
                let millis = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
                sockopt::TcpUserTimeout.set(&stream, &millis)?;
                match endpoint.channel()? {
                    None => Stream::Tcp(stream),
                    Some(channel) => {
                        route.is_shaking_hands = true;
                        Stream::Tls(Box::new(channel.encrypt(stream).await?))
                    }
                }
            }
        };
        Ok(Self { stream, accepted: 0, gauge: Arc::default() })
    }

    /// The gauge of this connection.
    pub(super) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// Moves the gauge on. TLS takes bytes that the kernel may not have yet, and passes them on in their order: where
    /// nothing of it is left, the kernel has all of them, and before that none of the last ones is counted.
    fn gauge_flushed(&self) {
        if self.stream.is_flushed() && self.gauge.written.swap(self.accepted, Ordering::Relaxed) != self.accepted {
            self.gauge.changed.notify_waiters();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.stream.duplex().poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            && let Some(refusal) = refusal_after_it(error)
        {
            let _ = self.gauge.refusal.set(refusal);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.duplex().poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.accepted = self.accepted.saturating_add(u64::try_from(*count).unwrap_or(u64::MAX));
            self.gauge_flushed();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.duplex().poll_flush(cx);
        self.gauge_flushed();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.duplex().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
