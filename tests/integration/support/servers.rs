//! Several real Redis servers, and the means of a test to change and to ask them.

use super::clock::{PATIENCE, within};
use super::pki::Pki;
use super::server::Server;
use super::{preload, processes};
use nix::sys::signal::Signal;
use redis::{FromRedisValue, Value};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tempfile::TempDir;

/// Tests share the machine. A test that measures runs alone.
static MACHINE: RwLock<()> = RwLock::new(());

#[allow(dead_code, reason = "held, never read")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Several independent servers, and a directory for the test.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    dir: TempDir,
    tag: String,
    _turn: Turn,
}

impl Cluster {
    /// Starts `size` servers, and waits until each answers.
    pub(crate) fn start(size: usize) -> Self {
        Self::start_with(size, &[])
    }

    /// The same, with these additional options.
    pub(crate) fn start_with(size: usize, options: &[&str]) -> Self {
        Self::with_turn(
            size,
            options,
            Turn::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)),
        )
    }

    /// The same, while no other test with servers runs.
    pub(crate) fn start_alone(size: usize) -> Self {
        Self::with_turn(
            size,
            &[],
            Turn::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)),
        )
    }

    /// Starts `size` servers that also speak TLS, with the certificate `server` and these options.
    pub(crate) fn start_tls(size: usize, pki: &Pki, options: &[&str]) -> Self {
        Self::start_tls_as(size, &pki.options("server"), options)
    }

    /// The same, with the options of another certificate.
    pub(crate) fn start_tls_as(size: usize, tls: &[String], options: &[&str]) -> Self {
        let options: Vec<&str> =
            tls.iter().map(String::as_str).chain(options.iter().copied()).collect();
        Self::start_with(size, &options)
    }

    /// As [`Cluster::start_tls`], while no other test with servers runs.
    pub(crate) fn start_tls_alone(size: usize, pki: &Pki, options: &[&str]) -> Self {
        let tls = pki.options("server");
        let options: Vec<&str> =
            tls.iter().map(String::as_str).chain(options.iter().copied()).collect();
        Self::with_turn(
            size,
            &options,
            Turn::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)),
        )
    }

    fn with_turn(size: usize, options: &[&str], turn: Turn) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag =
            format!("TEST_TAG={}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new()
            .prefix("redlock-test-")
            .tempdir()
            .expect("a temporary directory");
        let server = |i| Server::start(&dir.path().join(format!("server-{i}")), options);
        let servers = (0..size).map(server).collect();
        Self { servers, dir, tag, _turn: turn }
    }

    /// The working directory of the commands of the test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The setting that every process of this test has in its environment.
    pub(crate) fn tag(&self) -> (&str, &str) {
        self.tag.split_once('=').expect("a setting")
    }

    pub(crate) fn port(&self, i: usize) -> u16 {
        self.servers[i].port
    }

    pub(crate) fn tls_port(&self, i: usize) -> u16 {
        self.servers[i].tls_port
    }

    /// The servers by their ports for TLS.
    pub(crate) fn tls_urls_of(&self, which: impl IntoIterator<Item = usize>) -> String {
        which
            .into_iter()
            .map(|i| format!("rediss://127.0.0.1:{}", self.tls_port(i)))
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(crate) fn tls_urls(&self) -> String {
        self.tls_urls_of(0..self.servers.len())
    }

    pub(crate) fn address(&self, i: usize) -> String {
        format!("127.0.0.1:{}", self.servers[i].port)
    }

    pub(crate) fn socket(&self, i: usize) -> &Path {
        &self.servers[i].socket
    }

    pub(crate) fn url(&self, i: usize) -> String {
        format!("redis://{}", self.address(i))
    }

    pub(crate) fn urls(&self) -> String {
        self.urls_of(0..self.servers.len())
    }

    pub(crate) fn urls_of(&self, which: impl IntoIterator<Item = usize>) -> String {
        which.into_iter().map(|i| self.url(i)).collect::<Vec<_>>().join(",")
    }

    /// The URL of each server.
    pub(crate) fn all_urls(&self) -> Vec<String> {
        (0..self.servers.len()).map(|i| self.url(i)).collect()
    }

    /// Kills a server, as a power cut would.
    pub(crate) fn kill(&mut self, i: usize) {
        self.servers[i].end();
    }

    /// Starts a server again, at the same address and with nothing in memory.
    pub(crate) fn restart(&mut self, i: usize) {
        let server = &mut self.servers[i];
        server.end();
        assert!(server.launch(), "the port {} is taken", server.port);
    }

    /// The same with its saved data, and without waiting for an answer.
    pub(crate) fn restart_unready(&mut self, i: usize) {
        let server = &mut self.servers[i];
        server.end();
        server.begin();
    }

    /// Exchanges the numbers of two servers.
    #[allow(dead_code, reason = "only the chaos run does this")]
    pub(crate) fn swap(&mut self, i: usize, j: usize) {
        self.servers.swap(i, j);
    }

    /// Starts a server again, empty and with a wall clock that [`Cluster::set_clock`] can set.
    pub(crate) fn restart_with_clock(&mut self, i: usize) {
        let step = self.servers[i].socket.with_file_name("clock");
        fs::write(&step, "0").expect("a file");
        self.servers[i].clock = Some((preload::built("wallclock", self.dir()), step));
        self.restart(i);
    }

    /// From now on, this server's wall clock is ahead of the true time by this many seconds.
    pub(crate) fn set_clock(&self, i: usize, seconds: impl std::fmt::Display) {
        let (_, step) = self.servers[i].clock.as_ref().expect("it was started with a clock");
        let next = step.with_extension("next");
        fs::write(&next, seconds.to_string()).expect("a file");
        fs::rename(next, step).expect("a file");
    }

    /// The uptime of this server, in seconds.
    pub(crate) fn uptime(&self, i: usize) -> i64 {
        self.info(i, "uptime_in_seconds").parse().expect("a number")
    }

    /// One field of the server's INFO.
    pub(crate) fn info(&self, i: usize, name: &str) -> String {
        let text: String = self.ask(i, &["INFO", "server"]);
        let field = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        field.expect("a field").trim().to_owned()
    }

    /// Lets a server hang.
    pub(crate) fn stop(&mut self, i: usize) {
        processes::stop(self.servers[i].pid());
        self.servers[i].stopped = true;
    }

    /// Lets the server go on.
    pub(crate) fn cont(&mut self, i: usize) {
        processes::send(self.servers[i].pid(), Signal::SIGCONT);
        self.servers[i].stopped = false;
    }

    /// From now on the server wants a password.
    pub(crate) fn require_password(&mut self, i: usize, password: &str) {
        self.cli(i, &["CONFIG", "SET", "requirepass", password]);
        self.servers[i].password = Some(password.to_owned());
    }

    /// One command on one server, with a connection of its own.
    pub(crate) fn ask<T: FromRedisValue>(&self, i: usize, words: &[&str]) -> T {
        self.servers[i]
            .ask(words)
            .unwrap_or_else(|error| panic!("{words:?} on server {i}: {error}"))
    }

    /// The same for a command that may get an error reply.
    pub(crate) fn try_ask(&self, i: usize, words: &[&str]) -> Result<Value, String> {
        self.servers[i].ask(words).map_err(|error| error.to_string())
    }

    pub(crate) fn cli(&self, i: usize, words: &[&str]) -> Value {
        self.ask(i, words)
    }

    pub(crate) fn get(&self, i: usize, key: &str) -> Option<String> {
        self.ask(i, &["GET", key])
    }

    /// Milliseconds until the key expires. -2 for a missing key, -1 without expiry.
    pub(crate) fn pttl(&self, i: usize, key: &str) -> i64 {
        self.ask(i, &["PTTL", key])
    }

    /// The length of the queue of `key` on this server, dead contenders included.
    pub(crate) fn in_line(&self, i: usize, key: &str) -> usize {
        self.ask(i, &["ZCARD", &format!("redlock-queue:{key}")])
    }

    /// The keys on this server, without the mark, which stays.
    pub(crate) fn keys(&self, i: usize) -> Vec<String> {
        let keys: Vec<String> = self.ask(i, &["KEYS", "*"]);
        keys.into_iter().filter(|key| key != "redlock-memory").collect()
    }

    /// Sets the key on this server as another client, for a minute.
    pub(crate) fn occupy(&self, i: usize, key: &str) {
        self.cli(i, &["SET", key, FOREIGN, "PX", "60000"]);
    }

    /// The servers that can answer.
    pub(crate) fn answering(&self) -> Vec<usize> {
        let able = |i: &usize| self.servers[*i].is_running() && !self.servers[*i].stopped;
        (0..self.servers.len()).filter(able).collect()
    }

    /// Waits until no server has any key. The keys of the test must live longer than the wait.
    pub(crate) fn until_no_key_is_left(&self) {
        let left =
            || -> Vec<_> { self.answering().into_iter().map(|i| (i, self.keys(i))).collect() };
        let none =
            within(PATIENCE, || left().iter().all(|(_, keys)| keys.is_empty()).then_some(()));
        assert!(none.is_some(), "keys were left: {:?}", left());
    }

    /// The living processes that runs of this test started.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes::carrying(&self.tag)
    }

    /// Waits until every process that runs of this test started is dead.
    pub(crate) fn until_no_process_is_left(&self) {
        let none = within(PATIENCE, || self.processes().is_empty().then_some(()));
        assert!(none.is_some(), "processes were left: {}", processes::described(&self.processes()));
    }
}

/// The value of a key that [`Cluster::occupy`] sets.
pub(crate) const FOREIGN: &str = "somebody else";

/// Fails the test if a process is left.
impl Drop for Cluster {
    fn drop(&mut self) {
        let left = within(PATIENCE, || self.processes().is_empty().then_some(()));
        let described = processes::described(&self.processes());
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
        assert!(left.is_some() || std::thread::panicking(), "the test left processes: {described}");
    }
}
