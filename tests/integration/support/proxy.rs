//! A TCP proxy in front of a server. A test can disturb its connections while they are open.

mod pump;

use super::clock;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use pump::{Connection, Shared, State};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

/// A direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Requests,
    Replies,
}

/// The fate of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Pass,
    Delay(Duration),
    Hold,
    /// The first bytes on a connection pass. The later ones are held.
    HoldAfterFirst,
    /// These bytes are lost, but not the following ones.
    Drop,
    /// These bytes are lost, and so are all that follow on the connection in both directions, its
    /// end included: TCP loses no bytes in the middle of a stream. [`Proxy::reset_lost`] ends such
    /// connections.
    Swallow,
    /// One byte at a time, with this pause before each.
    Trickle(Duration),
}

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy that passes all on to this port.
    pub(crate) fn before(target: u16) -> Self {
        Self::listening("127.0.0.1", 0, target)
    }

    /// The same on this address and port, for servers that share a port number.
    pub(crate) fn listening(host: &str, port: u16, target: u16) -> Self {
        allow_many_descriptors();
        let listener = TcpListener::bind((host, port)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::new(target));
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.state().closed {
                    return;
                }
                shared.connect(client);
            }
        });
        Self { port, shared: ours }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    /// Sets the fate of all bytes from now on, on open connections too.
    pub(crate) fn set(&self, way: Way, fate: Fate) {
        self.change(|state| {
            *state.fate(way) = fate;
            state.has_held = false;
        });
    }

    /// Sets the fate of all bytes on the connections that are open now, in both directions, but not
    /// on new ones. [`Fate::Pass`] makes the open ones like new ones again.
    pub(crate) fn set_open(&self, fate: Fate) {
        let own = (fate != Fate::Pass).then_some(fate);
        self.change(|state| state.open.values_mut().for_each(|connection| connection.fate = own));
    }

    /// Waits until all connections have ended, and all their bytes have passed.
    pub(crate) fn until_closed(&self) {
        clock::until("the connections are over", || self.shared.state().open.is_empty());
    }

    /// Waits until a reply has passed.
    pub(crate) fn until_replied(&self) {
        clock::until("the proxy has passed a reply", || self.shared.state().has_replied);
    }

    /// Waits until bytes are held.
    pub(crate) fn until_held(&self) {
        clock::until("the proxy holds something", || self.shared.state().has_held);
    }

    /// How many connections were made so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.state().accepted
    }

    /// Breaks all open connections. On return, both ends have got a reset, and held bytes are lost.
    pub(crate) fn reset(&self) {
        self.reset_those(|_| true);
    }

    fn reset_those(&self, which: impl Fn(&Connection) -> bool) {
        let now = libc::linger { l_onoff: 1, l_linger: 0 };
        let mut broken = Vec::new();
        self.change(|state| {
            for (number, connection) in
                state.open.iter_mut().filter(|(_, connection)| which(connection))
            {
                connection.is_reset = true;
                broken.push(*number);
                for end in &connection.ends {
                    let _ = setsockopt(end, sockopt::Linger, &now);
                    // Wakes the reader. The reset is sent when the last handle is closed.
                    let _ = end.shutdown(Shutdown::Read);
                }
            }
        });
        let is_open = |number| self.shared.state().open.contains_key(number);
        clock::until("the connections are closed", || !broken.iter().any(is_open));
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.shared.state());
        self.shared.changed.notify_all();
    }
}

#[allow(dead_code, reason = "only the chaos run does this")]
impl Proxy {
    /// From now on, passes all bytes to this port, or refuses all connections. Breaks the open
    /// connections.
    pub(crate) fn redirect(&self, target: Option<u16>) {
        self.change(|state| state.target = target);
        self.reset();
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.state().open.len()
    }

    /// Breaks the connections on which bytes were lost.
    pub(crate) fn reset_lost(&self) {
        self.reset_those(|connection| connection.has_lost);
    }
}

/// Raises the limit of descriptors: a login has 1,024 by default, each connection needs six, and
/// chaos has hundreds of connections.
fn allow_many_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("getrlimit(2)");
        let enough = hard.min(1 << 16);
        if soft < enough {
            setrlimit(Resource::RLIMIT_NOFILE, enough, hard)
                .expect("setrlimit(2) up to the hard limit");
        }
    });
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.reset();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
