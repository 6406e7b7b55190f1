//! TCP connections to a name that may have several addresses, some of them dead (Happy Eyeballs,
//! RFC 8305).

use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

/// Longest time that one address has for itself before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// How far a connection by name has come, for the message if its time limit ends it.
#[derive(Debug, Default)]
pub(super) enum ConnectProgress {
    #[default]
    Resolving,
    /// These addresses have not answered yet.
    Connecting(Vec<SocketAddr>),
}

type ConnectAttempt<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// Connects to `host`: to `known` first if that still is one of its addresses, then to each other
/// one as soon as those before it have failed, or have been silent for a share of `limit`. The
/// first connection wins.
///
/// # Errors
/// When the name cannot be resolved, or no address takes a connection; the error names each
/// address.
pub(super) async fn open_by_name(
    (host, port): (&str, u16),
    known: Option<SocketAddr>,
    (limit, silence): (Duration, Duration),
    progress: &mut ConnectProgress,
) -> io::Result<TcpStream> {
    *progress = ConnectProgress::Resolving;
    let mut addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(|address| Some(*address) != known);
    addresses.truncate(ADDRESSES);
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "this name has no address"));
    }
    // The last one has two shares: it may be the one that is alive.
    let shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
    let stagger = STAGGER.min(limit / shares);
    let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
    let mut attempts: Vec<(SocketAddr, ConnectAttempt<'_>)> = Vec::new();
    let mut waiting = addresses.into_iter();
    loop {
        attempts.extend(
            waiting
                .next()
                .map(|address| (address, Box::pin(open(address, silence)) as ConnectAttempt<'_>)),
        );
        *progress =
            ConnectProgress::Connecting(attempts.iter().map(|(address, _)| *address).collect());
        if attempts.is_empty() {
            return Err(all(&failed));
        }
        let first = poll_fn(|cx| poll_first(&mut attempts, cx));
        let ended =
            if waiting.len() > 0 { timeout(stagger, first).await.ok() } else { Some(first.await) };
        match ended {
            Some((_, Ok(stream))) => return Ok(stream),
            Some((address, Err(error))) => failed.push((address, error)),
            None => {}
        }
    }
}

/// The first attempt that has ended, which is one no more.
fn poll_first(
    attempts: &mut Vec<(SocketAddr, ConnectAttempt<'_>)>,
    cx: &mut Context<'_>,
) -> Poll<(SocketAddr, io::Result<TcpStream>)> {
    let ended = attempts.iter_mut().enumerate().find_map(|(at, (_, attempt))| {
        match attempt.as_mut().poll(cx) {
            Poll::Ready(result) => Some((at, result)),
            Poll::Pending => None,
        }
    });
    match ended {
        Some((at, result)) => Poll::Ready((attempts.remove(at).0, result)),
        None => Poll::Pending,
    }
}

/// Connects to `address`, and gives up when the other kernel acknowledges nothing for `silence`.
pub(super) async fn open(address: SocketAddr, silence: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    // The end of the handshake waits for the first request and goes with it: the server wakes once
    // for both (tcp(7)).
    options.set_tcp_quickack(false)?;
    // The other kernel, not the server, has been silent for this long: nothing will come of it, and
    // a host that is back is not noticed for minutes (tcp(7)).
    options.set_tcp_user_timeout(Some(silence))?;
    socket.connect(address).await
}

/// The errors of all addresses in one sentence.
fn all(failed: &[(SocketAddr, io::Error)]) -> io::Error {
    let mut reasons: Vec<(String, Vec<SocketAddr>)> = Vec::new();
    for (address, error) in failed {
        let text = plain(error);
        match reasons.iter_mut().find(|(other, _)| *other == text) {
            Some((_, addresses)) => addresses.push(*address),
            None => reasons.push((text, vec![*address])),
        }
    }
    let each = reasons.iter().map(|(text, addresses)| format!("{text} at {}", listed(addresses)));
    let kind = failed.last().map_or(io::ErrorKind::Other, |(_, error)| error.kind());
    io::Error::new(kind, each.collect::<Vec<_>>().join(", "))
}

fn listed(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl ConnectProgress {
    /// The message of a time limit that is over.
    pub(super) fn timed_out(&self) -> String {
        match self {
            Self::Resolving => "timed out while its name was looked up".to_owned(),
            Self::Connecting(addresses) => {
                format!("timed out while connecting to {}", listed(addresses))
            }
        }
    }
}

/// The words of an error of the system, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
