//! A TCP proxy in front of one server, for thousands of connections, whose faults are those of a network.
//!
//! Bytes never vanish from the middle of a stream, as TCP never lets them: a connection that lost some delivers nothing
//! after them, and is reset when the fault is over.

use crate::support::clock;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// What becomes of the bytes that come from now on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Fate {
    #[default]
    Pass,
    Delay(Duration),
    Hold,
    Drop,
}

/// The fates of both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fates {
    pub(crate) requests: Fate,
    pub(crate) replies: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Requests,
    Replies,
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

#[derive(Default)]
struct State {
    fates: Fates,
    open: HashMap<u64, Connection>,
    accepted: u64,
    closed: bool,
}

struct Connection {
    ends: [TcpStream; 2],
    /// How many of its two ways still go.
    ways: u8,
    lost_bytes: bool,
}

impl Proxy {
    /// A proxy that passes all on to this port.
    pub(crate) fn before(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared { target, state: Mutex::default(), changed: Condvar::new() });
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

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes what becomes of the bytes, on open connections too.
    pub(crate) fn set(&self, fates: Fates) {
        let mut state = self.shared.state();
        state.fates = fates;
        if fates.requests != Fate::Drop && fates.replies != Fate::Drop {
            state.reset(|connection| connection.lost_bytes);
        }
        self.shared.changed.notify_all();
    }

    /// Breaks all open connections; both ends see a reset, and what was held is lost. Answers how many there were.
    pub(crate) fn reset(&self) -> usize {
        let count = self.shared.state().reset(|_| true);
        self.shared.changed.notify_all();
        count
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
        let ends = [handle(&client), handle(&server)];
        state.open.insert(number, Connection { ends, ways: 2, lost_bytes: false });
        drop(state);
        let ways = [(Way::Requests, handle(&client), handle(&server)), (Way::Replies, server, client)];
        for (way, from, to) in ways {
            let shared = Arc::clone(self);
            let pump = thread::Builder::new().stack_size(128 * 1024);
            pump.spawn(move || shared.pump(number, way, from, to)).expect("a thread");
        }
    }

    fn pump(&self, number: u64, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if self.passes(number, way) && to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let mut state = self.state();
        let Some(connection) = state.open.get_mut(&number) else { return };
        // What is closed at one end is closed at the other, behind all that was held.
        let _ = to.shutdown(Shutdown::Write);
        connection.ways -= 1;
        if connection.ways == 0 {
            state.open.remove(&number);
        }
    }

    /// Waits as long as the bytes have to; false if they are lost.
    fn passes(&self, number: u64, way: Way) -> bool {
        let came = clock::now();
        let mut state = self.state();
        loop {
            let fate = match way {
                Way::Requests => state.fates.requests,
                Way::Replies => state.fates.replies,
            };
            let Some(connection) = state.open.get_mut(&number) else { return false };
            let left = match fate {
                _ if connection.lost_bytes => return false,
                Fate::Pass => return true,
                Fate::Drop => {
                    connection.lost_bytes = true;
                    return false;
                }
                Fate::Hold => clock::PATIENCE,
                Fate::Delay(time) => (came + time).saturating_sub(clock::now()),
            };
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).expect("no panic").0;
        }
    }
}

impl State {
    /// Resets these connections. Answers how many.
    fn reset(&mut self, which: impl Fn(&Connection) -> bool) -> usize {
        let now = libc::linger { l_onoff: 1, l_linger: 0 };
        let broken: Vec<(u64, Connection)> = self.open.extract_if(|_, connection| which(connection)).collect();
        for end in broken.iter().flat_map(|(_, connection)| &connection.ends) {
            let _ = setsockopt(end, sockopt::Linger, &now);
            // Wakes the reader; the reset goes out when the last handle is closed.
            let _ = end.shutdown(Shutdown::Read);
        }
        broken.len()
    }
}
