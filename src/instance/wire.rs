//! The byte stream of one connection, with a gauge of how much of it the kernel has taken.

use super::endpoint::Address;
use nix::sys::socket::{SetSockOpt as _, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

/// How many bytes the kernel has taken. What it has taken reaches the server even if redlock ends.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    written: AtomicU64,
    changed: Notify,
}

impl Gauge {
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

/// A connection to an instance.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    gauge: Arc<Gauge>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Connects to `address`, and gives up on it when the other kernel acknowledges nothing for `silence`. A host name is looked up once: `pinned` keeps the address that worked, since another one
    /// of the same name may be another server.
    pub(super) async fn connect(
        address: &Address,
        pinned: &mut Option<SocketAddr>,
        silence: Duration,
    ) -> io::Result<Self> {
        let stream = match address {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            Address::Tcp(host, port) => {
                let stream = match (*pinned, host.parse::<IpAddr>()) {
                    (Some(known), _) => TcpStream::connect(known).await?,
                    (None, Ok(ip)) => TcpStream::connect(SocketAddr::new(ip, *port)).await?,
                    (None, Err(_)) => {
                        let stream = TcpStream::connect((host.as_str(), *port)).await?;
                        *pinned = Some(stream.peer_addr()?);
                        stream
                    }
                };
                stream.set_nodelay(true)?;
                // The other kernel, not the server, has been silent for this long: nothing will come of it, and a host
                // that is back is not noticed for minutes (tcp(7)).
                let millis = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
                sockopt::TcpUserTimeout.set(&stream, &millis)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Self { stream, gauge: Arc::default() })
    }

    /// The gauge of this connection.
    pub(super) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        if let Poll::Ready(Ok(count)) = &written {
            let count = u64::try_from(*count).unwrap_or(u64::MAX);
            self.gauge.written.fetch_add(count, Ordering::Relaxed);
            self.gauge.changed.notify_waiters();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
