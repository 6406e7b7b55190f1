//! A real server with a liar in front of it: requests pass to the server, and a function can
//! replace each reply.

use super::resp::{end_of, parts, text};
use crate::support::clock::let_pass;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The kind of request that a reply belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// No request: the connection is new.
    Accept,
    Auth,
    Select,
    Hello,
    Info,
    /// The server's identity and mark.
    Report,
    Acquire,
    Extend,
    Release,
    Status,
    Subscribe,
    Quit,
    /// No request: a push of the server.
    Push,
}

/// One reply of the real server.
pub(super) struct Reply<'a> {
    pub(super) kind: Kind,
    /// The words of the request.
    pub(super) request: &'a [String],
    /// The bytes of the real server.
    pub(super) said: &'a [u8],
    /// The number of earlier replies on this connection.
    pub(super) nth: usize,
    /// Bytes that the liar keeps for later.
    pub(super) kept: &'a mut Vec<u8>,
}

/// An action of the liar.
pub(super) enum Act {
    Say(Vec<u8>),
    /// Sends these bytes, and closes the connection.
    Last(Vec<u8>),
    Reset,
    /// Sends one byte at a time, after this pause each.
    Slowly(Vec<u8>, Duration),
    /// Sends the first bytes, and then the second again and again, after this pause each.
    Flood(Vec<u8>, Vec<u8>, Duration),
    /// As `Flood`, and also goes on with the other replies.
    Beside(Vec<u8>, Vec<u8>, Duration),
    /// Reads from now on, and sends nothing.
    Mute,
    /// Neither reads nor sends from now on.
    Deaf,
}

pub(super) type Deed = fn(&mut Reply<'_>) -> Act;

/// A liar before one server.
pub(super) struct Peer {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    deed: Deed,
    /// Requests that are withheld from the server. In their place, it gets a PING.
    withheld: &'static [Kind],
    is_hostile: AtomicBool,
    is_over: AtomicBool,
}

impl Peer {
    pub(super) fn before(target: u16, deed: Deed, withheld: &'static [Kind]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_hostile, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { target, deed, withheld, is_hostile, is_over });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || drop(Talk::begin(client, shared)));
            }
        });
        Self { port, shared: ours }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://default:any@127.0.0.1:{}/1", self.port)
    }

    /// From now on the liar lies, on open connections too.
    pub(super) fn lie(&self) {
        self.shared.is_hostile.store(true, Ordering::SeqCst);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One connection.
struct Talk {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// Locked while a piece is sent to the client.
    turn: Mutex<()>,
    asked: Mutex<VecDeque<(Kind, Vec<String>)>>,
    is_deaf: AtomicBool,
    is_mute: AtomicBool,
    is_reset: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk {
    /// Serves a client to the end of the connection.
    fn begin(client: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", shared.target))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let talk = Arc::new(Self {
            shared,
            client,
            server,
            turn: Mutex::default(),
            asked: Mutex::default(),
            is_deaf: AtomicBool::new(false),
            is_mute: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
        });
        let other = Arc::clone(&talk);
        let requests = thread::spawn(move || {
            let _ = other.requests();
            let _ = other.server.shutdown(Shutdown::Both);
        });
        let _ = talk.replies();
        // A shutdown of both directions would end the connection in order, without a reset.
        let is_reset = talk.is_reset.load(Ordering::SeqCst);
        let _ = talk.client.shutdown(if is_reset { Shutdown::Read } else { Shutdown::Both });
        let _ = talk.server.shutdown(Shutdown::Both);
        drop(requests.join());
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::SeqCst)
    }

    fn is_hostile(&self) -> bool {
        self.shared.is_hostile.load(Ordering::SeqCst)
    }

    fn requests(&self) -> std::io::Result<()> {
        let (mut bytes, mut room) = (Vec::new(), [0; 1 << 14]);
        loop {
            while self.is_deaf.load(Ordering::SeqCst) && !self.is_over() {
                let_pass(Duration::from_millis(20));
            }
            let count = (&self.client).read(&mut room)?;
            if count == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&room[..count]);
            while let Some(end) = end_of(&bytes) {
                let request: Vec<u8> = bytes.drain(..end).collect();
                let words: Vec<String> = parts(&request).iter().map(|part| text(part)).collect();
                let kind = kind_of(&words);
                let is_withheld = self.is_hostile() && self.shared.withheld.contains(&kind);
                locked(&self.asked).push_back((kind, words));
                let request: &[u8] = if is_withheld { b"PING\r\n" } else { &request };
                (&self.server).write_all(request)?;
            }
        }
    }

    fn replies(self: &Arc<Self>) -> std::io::Result<()> {
        let (mut bytes, mut room, mut kept) = (Vec::new(), [0; 1 << 14], Vec::new());
        let mut nth = 0;
        let mut answer = |kind, request: &[String], said: &[u8]| {
            let reply = &mut Reply { kind, request, said, nth, kept: &mut kept };
            let is_quiet =
                self.is_deaf.load(Ordering::SeqCst) || self.is_mute.load(Ordering::SeqCst);
            let act = match self.is_hostile() {
                _ if is_quiet => Act::Say(vec![]),
                true => (self.shared.deed)(reply),
                false => Act::Say(said.to_vec()),
            };
            nth += 1;
            self.act(act)
        };
        answer(Kind::Accept, &[], b"")?;
        loop {
            let count = (&self.server).read(&mut room)?;
            if count == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&room[..count]);
            while let Some(end) = end_of(&bytes) {
                let said: Vec<u8> = bytes.drain(..end).collect();
                if said.starts_with(b">3\r\n$7\r\nmessage") {
                    answer(Kind::Push, &[], &said)?;
                } else {
                    let asked = locked(&self.asked).pop_front();
                    let (kind, request) = asked.expect("a reply has a request");
                    answer(kind, &request, &said)?;
                }
            }
        }
    }

    fn say(&self, bytes: &[u8]) -> std::io::Result<()> {
        let _turn = locked(&self.turn);
        (&self.client).write_all(bytes)
    }

    fn act(self: &Arc<Self>, act: Act) -> std::io::Result<()> {
        let end = || std::io::Error::other("the liar has closed");
        match act {
            Act::Say(bytes) => self.say(&bytes)?,
            Act::Last(bytes) => {
                self.say(&bytes)?;
                return Err(end());
            }
            Act::Reset => {
                let now = libc::linger { l_onoff: 1, l_linger: 0 };
                let _ = setsockopt(&self.client, sockopt::Linger, &now);
                self.is_reset.store(true, Ordering::SeqCst);
                return Err(end());
            }
            Act::Slowly(bytes, pause) => {
                for byte in bytes {
                    let_pass(pause);
                    self.say(&[byte])?;
                    if self.is_over() {
                        return Err(end());
                    }
                }
            }
            Act::Flood(first, again, pause) => {
                self.say(&first)?;
                return self.flood(&again, pause);
            }
            Act::Beside(first, again, pause) => {
                self.say(&first)?;
                let talk = Arc::clone(self);
                drop(thread::spawn(move || talk.flood(&again, pause)));
            }
            Act::Mute => self.is_mute.store(true, Ordering::SeqCst),
            Act::Deaf => self.is_deaf.store(true, Ordering::SeqCst),
        }
        Ok(())
    }

    fn flood(&self, again: &[u8], pause: Duration) -> std::io::Result<()> {
        while !self.is_over() {
            self.say(again)?;
            if !pause.is_zero() {
                let_pass(pause);
            }
        }
        Ok(())
    }
}

/// The kind of a request: each script has a word that no other has.
fn kind_of(words: &[String]) -> Kind {
    let script = words.get(1).map_or("", String::as_str);
    match words.first().map_or("", String::as_str) {
        "AUTH" => Kind::Auth,
        "SELECT" => Kind::Select,
        "HELLO" => Kind::Hello,
        "SET" => Kind::Acquire,
        "SUBSCRIBE" => Kind::Subscribe,
        "QUIT" => Kind::Quit,
        "EVAL" if script.contains("'INFO', 'server'") => Kind::Report,
        "EVAL" if script.contains("local worst") => Kind::Extend,
        "EVAL" if script.contains("local other = 0") => Kind::Release,
        "EVAL" if script.contains("'ZRANK'") => Kind::Status,
        "EVAL" if script.contains("'NX', 'PX'") => Kind::Acquire,
        // INFO, for eviction and replicas.
        _ => Kind::Info,
    }
}
