//! The byte stream of one connection, whatever it goes through.

use super::endpoint::{Address, Endpoint};
use super::tls::Encrypted;
use crate::lock::Unknown;
use nix::sys::socket::{SetSockOpt as _, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

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
pub(super) struct Wire(Stream);

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
    fn duplex(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream.as_mut()),
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
        Ok(Self(stream))
    }

    /// Reads what has come into `bytes`; nothing more will come after nothing.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.duplex().poll_read(cx, bytes)
    }

    /// Takes as many of `bytes` as it can now. With TLS the kernel may not have them all until [`Wire::poll_flush`] says so.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.duplex().poll_write(cx, bytes)
    }

    /// Ready when the kernel has all that was written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.duplex().poll_flush(cx)
    }
}
