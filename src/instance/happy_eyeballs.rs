//! TCP connections to a name with several addresses, some of which may be dead (Happy Eyeballs, RFC
//! 8305).

use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

/// Longest delay from the attempt at one address to the attempt at the next.
const STAGGER: Duration = Duration::from_millis(250);

/// Largest number of addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// Progress of a connection by name, for the error of its time limit.
#[derive(Debug, Default)]
pub(super) enum ConnectProgress {
    #[default]
    Resolving,
    /// Addresses that have not answered yet.
    Connecting(Vec<SocketAddr>),
}

type ConnectAttempt<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// Connects to `host`. The address `known` comes first if the name still has it. Each other address
/// is tried as soon as the earlier addresses have failed, or have been silent for a share of
/// `limit`. The first connection wins.
///
/// # Errors
/// When the name cannot be resolved, or no address accepts a connection. The error names each
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
    // The last address has two shares, since it may be the only live one.
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

/// The first attempt that has ended. Removes that attempt.
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

/// Connects to `address`. The connection ends if the other kernel acknowledges no byte for
/// `silence`.
pub(super) async fn open(address: SocketAddr, silence: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    // The acknowledgement that ends the handshake is delayed, and goes with the first request: the
    // server wakes up once for both (tcp(7)).
    options.set_tcp_quickack(false)?;
    // If the other kernel has acknowledged nothing for this time, the connection is useless.
    // Without the limit, redlock would not notice for minutes that the host is back (tcp(7)).
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
    /// The error of a time limit that has passed.
    pub(super) fn timed_out(&self) -> String {
        match self {
            Self::Resolving => "timed out while its name was looked up".to_owned(),
            Self::Connecting(addresses) => {
                format!("timed out while connecting to {}", listed(addresses))
            }
        }
    }
}

/// The text of a system error, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
