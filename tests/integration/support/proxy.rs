//! A TCP proxy in front of a server, whose connections can be made worse while they are open.

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::clock;

/// Which half of a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Requests,
    Replies,
}

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Pass,
    Delay(Duration),
    Hold,
    /// What comes first on a connection passes; the rest is held.
    HoldAfterFirst,
    Drop,
    /// One byte at a time, with this pause before each.
    Trickle(Duration),
}

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    requests: Fate,
    replies: Fate,
    /// By the number of the connection.
    open: Vec<(usize, [TcpStream; 2])>,
    /// The number of the connection, for each half of it that is served.
    pumping: Vec<usize>,
    accepted: usize,
    /// What becomes of all bytes on the connections up to this number, both ways.
    old: Option<(usize, Fate)>,
    /// Whether bytes were held since it was last said what becomes of them.
    has_held: bool,
    /// Whether a reply has passed.
    has_replied: bool,
    closed: bool,
}

impl Proxy {
    /// A proxy that passes all on to this port.
    pub(crate) fn before(target: u16) -> Self {
        Self::listening("127.0.0.1", 0, target)
    }

    /// The same at this address of this machine, for servers that have one port.
    pub(crate) fn listening(host: &str, port: u16, target: u16) -> Self {
        let listener = TcpListener::bind((host, port)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (open, pumping) = (Vec::new(), Vec::new());
        let state = State {
            requests: Fate::Pass,
            replies: Fate::Pass,
            open,
            pumping,
            accepted: 0,
            old: None,
            has_held: false,
            has_replied: false,
            closed: false,
        };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
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

    /// What becomes of all bytes that come from now on, on open connections too.
    pub(crate) fn set(&self, way: Way, fate: Fate) {
        let mut state = self.shared.state();
        *state.fate(way) = fate;
        state.has_held = false;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// What becomes of all bytes on the connections that are open now, both ways; new ones are not concerned.
    pub(crate) fn set_open(&self, fate: Fate) {
        let mut state = self.shared.state();
        state.old = Some((state.accepted, fate));
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until all connections are over, and all that was said on them has passed.
    pub(crate) fn until_closed(&self) {
        clock::until("the connections are over", || self.shared.state().pumping.is_empty());
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

    /// Breaks all open connections. When it returns, both ends have a reset, and what was held is lost.
    pub(crate) fn reset(&self) {
        let now = libc::linger { l_onoff: 1, l_linger: 0 };
        let broken: Vec<_> = self.shared.state().open.drain(..).collect();
        let numbers: Vec<_> = broken.iter().map(|(number, _)| *number).collect();
        for end in broken.into_iter().flat_map(|(_, ends)| ends) {
            let _ = setsockopt(&end, sockopt::Linger, &now);
            // Wakes the reader; the reset goes out when the last handle is closed.
            let _ = end.shutdown(Shutdown::Read);
        }
        self.shared.changed.notify_all();
        let gone = || !self.shared.state().pumping.iter().any(|number| numbers.contains(number));
        clock::until("the connections are closed", gone);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.reset();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        let handle = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a socket");
        }
        let mut state = self.state();
        state.accepted += 1;
        let number = state.accepted;
        state.pumping.extend([number; 2]);
        state.open.push((number, [handle(&client), handle(&server)]));
        drop(state);
        let ways = [(Way::Requests, handle(&client), handle(&server)), (Way::Replies, server, client)];
        for (way, from, to) in ways {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                shared.pump(number, way, from, to);
                let mut state = shared.state();
                let half = state.pumping.iter().position(|&pumping| pumping == number);
                half.map(|half| state.pumping.remove(half));
            });
        }
    }

    fn pump(&self, number: usize, way: Way, from: TcpStream, mut to: TcpStream) {
        let mut first = true;
        for (came, bytes) in arrivals(from) {
            let trickles = matches!(self.state().fate_of(number, way), Fate::Trickle(_));
            for piece in bytes.chunks(if trickles { 1 } else { bytes.len() }) {
                let came = if trickles { clock::now() } else { came };
                if self.passes(number, way, came, first) {
                    if to.write_all(piece).is_err() {
                        return;
                    }
                    self.state().has_replied |= matches!(way, Way::Replies);
                }
            }
            first = false;
        }
        // The end of a connection is held like its bytes.
        let _ = self.passes(number, way, clock::now(), first);
        if self.is_open(number) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Waits as long as the bytes have to; false if they are to be lost.
    fn passes(&self, number: usize, way: Way, came: Duration, first: bool) -> bool {
        loop {
            if !self.is_open(number) {
                return false;
            }
            let mut state = self.state();
            let left = match state.fate_of(number, way) {
                Fate::Pass => return true,
                Fate::Drop => return false,
                Fate::HoldAfterFirst if first => return true,
                Fate::Hold | Fate::HoldAfterFirst => clock::PATIENCE,
                Fate::Delay(time) | Fate::Trickle(time) => (came + time).saturating_sub(clock::now()),
            };
            if left.is_zero() {
                return true;
            }
            state.has_held |= left == clock::PATIENCE;
            drop(self.changed.wait_timeout(state, left).expect("no panic"));
        }
    }

    /// Was this connection not reset by the test?
    fn is_open(&self, number: usize) -> bool {
        self.state().open.iter().any(|(open, _)| *open == number)
    }
}

/// The bytes that come, each with when they came: those that wait must not hold up the others.
fn arrivals(mut from: TcpStream) -> Receiver<(Duration, Vec<u8>)> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((clock::now(), buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    receiver
}

impl State {
    /// What becomes of bytes on the connection with this number.
    fn fate_of(&mut self, number: usize, way: Way) -> Fate {
        match self.old {
            Some((last, fate)) if number <= last => fate,
            _ => *self.fate(way),
        }
    }

    fn fate(&mut self, way: Way) -> &mut Fate {
        match way {
            Way::Requests => &mut self.requests,
            Way::Replies => &mut self.replies,
        }
    }
}
