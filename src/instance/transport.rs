//! The byte stream of one connection, whatever it goes through.

use super::address::Address;
use super::endpoint::Endpoint;
use super::happy_eyeballs::{ConnectProgress, open, open_by_name, plain};
use super::tls::{Encrypted, refusal_in_handshake};
use crate::lock::NoVoteReason;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How one instance is reached, and how far the last try came.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The address that worked. It is preferred for as long as the name still has it, since another
    /// address of the same name may be another server; when the server has moved, the name tells
    /// where to.
    known: Option<SocketAddr>,
    /// How far a name was followed.
    progress: Option<ConnectProgress>,
    is_shaking_hands: bool,
}

impl Route {
    /// Why the last attempt took too long.
    fn timed_out(&self) -> NoVoteReason {
        if self.is_shaking_hands {
            // A server without TLS waits in silence for the end of the line.
            return NoVoteReason::Unreachable(
                "timed out in the TLS handshake; does it speak TLS on this port?".into(),
            );
        }
        self.progress.as_ref().map_or(NoVoteReason::TimedOut, |progress| {
            NoVoteReason::Unreachable(progress.timed_out())
        })
    }
}

/// A connection to an instance.
#[derive(Debug)]
pub(super) struct Transport(Stream);

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Encrypted>),
}

/// A byte stream of any kind.
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

impl Transport {
    /// Connects to `endpoint` within `limit`; answers the route too, with the address that worked.
    pub(super) async fn reach(
        endpoint: Arc<Endpoint>,
        mut route: Route,
        limit: Duration,
        silence: Duration,
    ) -> (Route, Result<Self, NoVoteReason>) {
        let transport =
            match timeout(limit, Self::connect(&endpoint, &mut route, (limit, silence))).await {
                Ok(Ok(transport)) => Ok(transport),
                Ok(Err(error)) => Err(refusal_in_handshake(&error)
                    .unwrap_or_else(|| NoVoteReason::Unreachable(plain(&error)))),
                Err(_) => Err(route.timed_out()),
            };
        (route, transport)
    }

    /// Connects to `endpoint`, of whose addresses each has a share of `limit`, and gives up on it
    /// when the other kernel acknowledges nothing for `silence`.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        route: &mut Route,
        (limit, silence): (Duration, Duration),
    ) -> io::Result<Self> {
        route.is_shaking_hands = false;
        route.progress = None;
        let stream = match endpoint.address() {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            Address::Tcp(host, port) => {
                let stream = match host.parse::<IpAddr>() {
                    Ok(ip) => open(SocketAddr::new(ip, *port), silence).await?,
                    Err(_) => {
                        open_by_name(
                            (host, *port),
                            route.known,
                            (limit, silence),
                            route.progress.insert(ConnectProgress::default()),
                        )
                        .await?
                    }
                };
                route.known = Some(stream.peer_addr()?);
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

    /// Whether it goes through TLS.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.0, Stream::Tls(_))
    }

    /// Reads into `bytes`. No bytes are the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.duplex().poll_read(cx, bytes)
    }

    /// Takes as many of `bytes` as it can now. With TLS the kernel may not have them all until
    /// [`Transport::poll_flush`] says so.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.duplex().poll_write(cx, bytes)
    }

    /// Ready when the kernel has all that was written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.duplex().poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Login;
    use super::*;
    use std::io::{ErrorKind, Read as _};

    const LIMITS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60));

    #[test]
    fn the_end_of_the_handshake_comes_with_the_first_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::parse(
            &format!("redis://{}", listener.local_addr().unwrap()),
            &Login::default(),
        )
        .unwrap();
        let connect =
            || runtime.block_on(Transport::connect(&endpoint, &mut Route::default(), LIMITS));
        // The kernel itself waits no longer than a fifth of a second, which may be over before
        // anybody looks.
        let waits = |_: &Transport| matches!(listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock);
        let mut transport =
            (0..100).map(|_| connect().unwrap()).find(waits).expect("one of them to wait");
        assert_eq!(
            runtime
                .block_on(std::future::poll_fn(|cx| transport.poll_write(cx, b"request")))
                .unwrap(),
            7
        );
        listener.set_nonblocking(false).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 7];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"request");
    }
}
