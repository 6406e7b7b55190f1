//! The byte stream of one connection, over TCP, TLS or a socket.

use super::address::Address;
use super::endpoint::Endpoint;
use super::happy_eyeballs::{ConnectProgress, open, open_by_name, plain};
use super::tls::{Channel, Encrypted, below, refusal_in_handshake};
use crate::lock::NoVoteReason;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// The address of one instance, and the progress of the last attempt.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The address that worked. Preferred while the name still has the address, since another
    /// address of the same name may be another server. If the server has moved, the name gives the
    /// new address.
    known: Option<SocketAddr>,
    /// Progress of a connection by name.
    progress: Option<ConnectProgress>,
    is_shaking_hands: bool,
}

impl Route {
    /// Reason why the last attempt took too long.
    fn timed_out(&self) -> NoVoteReason {
        if self.is_shaking_hands {
            // A server without TLS waits in silence for the end of the first line.
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

    fn socket(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => below(stream).as_fd(),
        }
    }
}

impl Transport {
    /// Connects to `endpoint` within `limit`. Also returns the route, with the address that worked.
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

    /// Connects to `endpoint`. Each of its addresses has a share of `limit`. The connection ends if
    /// the other kernel acknowledges no byte for `silence`.
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

    /// Whether the stream is encrypted by TLS.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.0, Stream::Tls(_))
    }

    /// See [`super::Inspector::certificate_left`].
    pub(super) fn certificate_left(
        &self,
        channel: &Channel,
        now: Duration,
        soon: Duration,
    ) -> Option<Duration> {
        match &self.0 {
            Stream::Tls(stream) => channel.certificate_left(stream, now, soon),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    /// Whether the server has closed the connection, or has died. This asks the kernel itself: the
    /// runtime asks only between two turns, so that a read may not show the end yet.
    pub(super) fn is_closed_by_server(&self) -> bool {
        self.is_closed_within(PollTimeout::ZERO)
    }

    fn is_closed_within(&self, patience: PollTimeout) -> bool {
        let closed = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut sockets = [PollFd::new(self.0.socket(), closed)];
        poll(&mut sockets, patience).is_ok_and(|ready| ready > 0)
    }

    /// Reads into `bytes`. Zero bytes mean the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.duplex().poll_read(cx, bytes)
    }

    /// Takes as many of `bytes` as possible now. With TLS, the kernel may not have taken all of
    /// them before [`Transport::poll_flush`] is ready.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.duplex().poll_write(cx, bytes)
    }

    /// Ready when the kernel has taken every written byte.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.duplex().poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Login;
    use super::*;
    use std::io::{ErrorKind, Read as _, Write as _};

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
        // The kernel itself waits at most a fifth of a second, which may be over before the check.
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

    #[test]
    fn the_end_of_a_connection_is_seen_before_the_runtime_hears_of_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::parse(&url, &Login::default()).unwrap();
        let transport =
            runtime.block_on(Transport::connect(&endpoint, &mut Route::default(), LIMITS)).unwrap();
        assert!(!transport.is_closed_by_server());
        // The handshake may end with the first bytes.
        let mut sent = [PollFd::new(transport.0.socket(), PollFlags::POLLOUT)];
        poll(&mut sent, PollTimeout::NONE).unwrap();
        socket2::SockRef::from(&transport.0.socket()).send(b"request").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // An answer in front of the end hides the end from a read, and not from this.
        server.write_all(b"answer").unwrap();
        drop(server);
        assert!(transport.is_closed_within(PollTimeout::from(20_000_u16)));
        assert!(transport.is_closed_by_server());
    }
}
