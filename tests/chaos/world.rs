//! The servers and contenders of a chaos run: all that the nemesis can reach.

use crate::contender::{Kind, NAME};
use crate::crowd::Crowd;
use crate::dice::Dice;
use crate::history;
use crate::journal::Journal;
use crate::promise::{Promise, SERVERS, SPARES, VOTES_FROM_UPTIME};
use crate::support::proxy::Proxy;
use crate::support::{Cluster, key_of, until};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) crowd: Crowd,
    pub(crate) promise: Promise,
    pub(crate) journal: Journal,
}

impl World {
    /// Servers that have been up long enough to vote, each behind a proxy, and spare ones. No
    /// contender has started yet.
    pub(crate) fn new(dice: &mut Dice, kind: Kind) -> Self {
        let mut cluster = Cluster::start(SERVERS + SPARES);
        // Builds the library that sets a clock now, since that takes long.
        cluster.restart_with_clock(SERVERS);
        std::fs::create_dir(cluster.dir().join(history::FOLDER)).expect("a new folder");
        let proxies: Vec<Proxy> = (0..SERVERS).map(|i| Proxy::before(cluster.port(i))).collect();
        let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
        until("all servers may vote", || {
            (0..SERVERS + SPARES).all(|i| cluster.uptime(i) >= VOTES_FROM_UPTIME)
        });
        let journal = Journal::default();
        let crowd = Crowd::new(dice.split(), urls, kind, journal.clone());
        Self { cluster, proxies, crowd, promise: Promise::default(), journal }
    }

    /// The key of the lock of all contenders.
    pub(crate) fn key() -> String {
        key_of(NAME)
    }

    /// The servers that answer and have the key: by value, with the milliseconds left.
    pub(crate) fn held(&self) -> BTreeMap<String, Vec<(i64, usize)>> {
        let key = Self::key();
        let mut held: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
        for i in self.promise.well() {
            if let Some(value) = self.cluster.get(i, &key) {
                held.entry(value).or_default().push((self.cluster.pttl(i, &key), i));
            }
        }
        held
    }

    /// Sends a line to a server without waiting for a reply. The caller keeps the connection.
    pub(crate) fn tell(&self, i: usize, line: &str) -> TcpStream {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.cluster.port(i))).expect("the server listens");
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        stream
    }

    /// Servers that may lose their memory, and answer.
    pub(crate) fn may_forget(&self) -> Vec<usize> {
        self.promise.well().into_iter().filter(|i| self.promise.may_forget(*i)).collect()
    }

    /// The servers that a name can move to.
    pub(crate) fn spares(&self) -> Vec<usize> {
        (SERVERS..SERVERS + SPARES)
            .filter(|i| self.cluster.uptime(*i) >= VOTES_FROM_UPTIME)
            .collect()
    }

    /// Starts contenders that do not wait, at a moment at which the lock may look free.
    pub(crate) fn intrude(&mut self) {
        self.crowd.intrude(&self.cluster);
    }

    /// Refuses new connections to this server from now on, and breaks the open ones.
    pub(crate) fn shut(&self, i: usize) {
        self.proxies[i].redirect(None);
    }

    /// Lets clients reach the server that has this number now.
    pub(crate) fn open(&self, i: usize) {
        self.proxies[i].redirect(Some(self.cluster.port(i)));
    }

    /// Waits until this server answers BUSY.
    pub(crate) fn until_busy(&self, i: usize) {
        until("it is busy", || {
            self.cluster.try_ask(i, &["PING"]).is_err_and(|error| error.contains("BUSY"))
        });
    }

    /// Waits until every server answers.
    pub(crate) fn until_all_answer(&self) {
        until("all servers answer", || {
            (0..SERVERS).all(|i| self.cluster.try_ask(i, &["PING"]).is_ok())
        });
    }

    /// The keys that fit `meant`, each with its server.
    pub(crate) fn keys(&self, meant: impl Fn(&str) -> bool) -> Vec<String> {
        let on = |i| self.cluster.keys(i).into_iter().map(move |key| (key, i));
        // The counters of the fences expire only after a month.
        let is_meant = |key: &str| meant(key) && !key.starts_with("redlock-fence:");
        let all = (0..SERVERS).flat_map(on).filter(|(key, _)| is_meant(key));
        all.map(|(key, i)| format!("{key} on server {i}")).collect()
    }
}

/// A list of servers, for the journal.
pub(crate) fn servers(which: &[usize]) -> String {
    let mut which: Vec<String> = which.iter().map(ToString::to_string).collect();
    which.sort();
    format!("server{} {}", if which.len() == 1 { "" } else { "s" }, which.join(","))
}

/// A length of time, for the journal.
pub(crate) fn shown(length: Duration) -> String {
    format!("{} ms", length.as_millis())
}
