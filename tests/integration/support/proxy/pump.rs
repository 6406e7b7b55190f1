//! The connections of a proxy, and the threads that carry their bytes.

use super::super::clock;
use super::{Fate, Way};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

pub(super) struct State {
    /// The port of the server. `None` refuses every connection.
    pub(super) target: Option<u16>,
    pub(super) requests: Fate,
    pub(super) replies: Fate,
    /// The open connections by their numbers. An entry stays until both directions have ended.
    pub(super) open: BTreeMap<usize, Connection>,
    pub(super) accepted: usize,
    /// Whether bytes were held since the fate was set last.
    pub(super) has_held: bool,
    /// Whether a reply has passed.
    pub(super) has_replied: bool,
    pub(super) closed: bool,
}

pub(super) struct Connection {
    pub(super) ends: [TcpStream; 2],
    /// Number of directions that have not ended.
    ways: u8,
    /// The fate of all its bytes, in place of the fate of the direction.
    pub(super) fate: Option<Fate>,
    pub(super) has_lost: bool,
    pub(super) is_reset: bool,
}

impl Shared {
    pub(super) fn new(target: u16) -> Self {
        let state = State {
            target: Some(target),
            requests: Fate::Pass,
            replies: Fate::Pass,
            open: BTreeMap::new(),
            accepted: 0,
            has_held: false,
            has_replied: false,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub(super) fn connect(self: &Arc<Self>, client: TcpStream) {
        let Some(target) = self.state().target else { return };
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let handle = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a socket");
        }
        let mut state = self.state();
        if state.target != Some(target) {
            return;
        }
        state.accepted += 1;
        let number = state.accepted;
        let ends = [handle(&client), handle(&server)];
        state.open.insert(
            number,
            Connection { ends, ways: 2, fate: None, has_lost: false, is_reset: false },
        );
        drop(state);
        let ways =
            [(Way::Requests, handle(&client), handle(&server)), (Way::Replies, server, client)];
        for (way, from, to) in ways {
            let shared = Arc::clone(self);
            spawn(move || {
                shared.pump(number, way, from, to);
                shared.is_over(number);
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
        if self
            .state()
            .open
            .get(&number)
            .is_some_and(|connection| !connection.is_reset && !connection.has_lost)
        {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Notes that one direction of a connection has ended.
    fn is_over(&self, number: usize) {
        let mut state = self.state();
        let Some(connection) = state.open.get_mut(&number) else { return };
        connection.ways -= 1;
        if connection.ways == 0 {
            state.open.remove(&number);
        }
    }

    /// Waits as long as the bytes are held. Returns false for lost bytes.
    fn passes(&self, number: usize, way: Way, came: Duration, first: bool) -> bool {
        let mut state = self.state();
        loop {
            let fate = state.fate_of(number, way);
            let Some(connection) = state.open.get_mut(&number) else { return false };
            if connection.is_reset || connection.has_lost {
                return false;
            }
            let left = match fate {
                Fate::Pass => return true,
                Fate::Drop => return false,
                Fate::Swallow => {
                    connection.has_lost = true;
                    return false;
                }
                Fate::HoldAfterFirst if first => return true,
                Fate::Hold | Fate::HoldAfterFirst => clock::PATIENCE,
                Fate::Delay(time) | Fate::Trickle(time) => {
                    (came + time).saturating_sub(clock::now())
                }
            };
            if left.is_zero() {
                return true;
            }
            state.has_held |= left == clock::PATIENCE;
            state = self.changed.wait_timeout(state, left).expect("no panic").0;
        }
    }
}

/// The incoming bytes with their times. A thread reads them, so that held bytes do not delay those
/// behind them.
fn arrivals(mut from: TcpStream) -> Receiver<(Duration, Vec<u8>)> {
    let (sender, receiver) = channel();
    spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((clock::now(), buffer[..length].to_vec())).is_err() {
                return;
            }
        }
        // A reset is sent when the last handle is closed. So `from` is dropped before the channel
        // ends, which the receiver waits for.
        drop(from);
    });
    receiver
}

/// Starts a thread with a small stack: each connection has four threads.
fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(128 * 1024).spawn(work).expect("a thread");
}

impl State {
    /// The fate of bytes on the connection with this number.
    fn fate_of(&mut self, number: usize, way: Way) -> Fate {
        self.open.get(&number).and_then(|connection| connection.fate).unwrap_or(*self.fate(way))
    }

    pub(super) fn fate(&mut self, way: Way) -> &mut Fate {
        match way {
            Way::Requests => &mut self.requests,
            Way::Replies => &mut self.replies,
        }
    }
}
