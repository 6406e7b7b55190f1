//! Requests as commands of Redis.

use super::endpoint::Endpoint;
use super::pipeline::PushSupport;
use super::scripts::{ACQUIRE, EXTEND, PROPOSE, RAISE, RELEASE, REPORT, WATCH};
use super::settings::ClusterSettings;
use crate::lock::{AfterRelease, IfMissing, Proposal, QueuedSince, Request, RestartGuard};
use redis::Cmd;
use std::time::Duration;

/// Whether the user of redlock is known to have the rights to extend and to release.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Rights {
    /// An acquisition must prove the rights before it sets a key.
    #[default]
    Unproved,
    /// An acquisition on the same connection has proved the rights.
    Proved,
}

/// AUTH and SELECT, if needed: the first commands on a connection.
pub(super) fn greeting(endpoint: &Endpoint) -> Vec<Cmd> {
    let mut commands = Vec::new();
    if let Some(credentials) = endpoint.credentials() {
        let mut auth = command("AUTH", 0);
        if let Some(user) = &credentials.user {
            auth.arg(user);
        }
        auth.arg(&credentials.password);
        commands.push(auth);
    }
    if endpoint.db() != 0 {
        let mut select = command("SELECT", 0);
        select.arg(endpoint.db());
        commands.push(select);
    }
    commands
}

/// Switches to RESP3, which allows pushes. The reply contains the server's mode and role.
pub(super) fn hello() -> Cmd {
    let mut hello = command("HELLO", 0);
    hello.arg(3);
    hello
}

/// Requests the server to close the connection after the earlier replies. If redlock closed the
/// connection, the server would be woken once more, and a port of ours would be occupied for a
/// minute (`TIME_WAIT` in tcp(7)). QUIT is never refused.
pub(super) fn quit() -> Cmd {
    command("QUIT", 0)
}

/// One section of INFO.
pub(super) fn server_info(section: &str) -> Cmd {
    let mut server_info = command("INFO", 0);
    server_info.arg(section);
    server_info
}

impl ClusterSettings {
    /// The command that carries out `request`. `push` says whether a wake-up would be received.
    /// `rights` says whether the rights to extend and to release were proved on this connection.
    pub(super) fn command(&self, request: &Request, push: PushSupport, rights: Rights) -> Cmd {
        match request {
            Request::Acquire { slot, value, fence: None, .. } => {
                self.acquire(*slot, value, push.has_asked(), rights)
            }
            Request::Acquire { value, fence: Some(proposal), .. } => {
                let mut eval = Self::eval(PROPOSE, &self.fenced_keys());
                eval.arg(value).arg(self.ttl.millis());
                self.propose(eval, proposal)
            }
            Request::Raise { value, proposal, counters, .. } => {
                let mut eval = Self::eval(RAISE, &self.fenced_keys());
                eval.arg(value);
                let mut eval = self.propose(eval, proposal);
                eval.arg(counters);
                eval
            }
            Request::Extend { missing, slot, value } => {
                let mut eval = Self::eval(EXTEND, self.target.keys_of(*slot));
                eval.arg(value).arg(self.ttl.millis()).arg(i32::from(*missing == IfMissing::Set));
                eval
            }
            Request::Release { slot, value, after_release, .. } => {
                self.release(*slot, value, *after_release)
            }
            Request::Status(queued_since) => self.watch(queued_since.filter(|_| push.can_listen())),
        }
    }

    /// The keys of the lock, and their counters.
    fn fenced_keys(&self) -> Vec<String> {
        [self.target.keys_of(0), &self.target.counters()].concat()
    }

    fn propose(&self, mut eval: Cmd, proposal: &Proposal) -> Cmd {
        let is_guarded = self.guard != RestartGuard::Off;
        eval.arg(proposal.token.get()).arg(&proposal.nonce).arg(i32::from(is_guarded));
        eval
    }

    fn acquire(&self, slot: u32, value: &str, is_queued: bool, rights: Rights) -> Cmd {
        // With one slot, the place stays until the release of this run, which leaves the queue: no
        // contender is woken before.
        let leaves = is_queued && self.target.slot_count() > 1;
        match self.target.keys_of(slot) {
            [key] if !leaves && rights == Rights::Proved => {
                let mut set = command("SET", key.len() + value.len());
                set.arg(key).arg(value).arg("NX").arg("PX").arg(self.ttl.millis());
                set
            }
            keys => {
                let mut eval = Self::eval(ACQUIRE, keys);
                eval.arg(value).arg(self.ttl.millis());
                if leaves {
                    eval.arg(&self.id).arg(self.target.queues());
                }
                eval
            }
        }
    }

    /// Request for the report: the mark, unless there is no restart guard, and the identity, unless
    /// `run_id` is known.
    pub(super) fn report(&self, wall: Duration, run_id: Option<&str>) -> Cmd {
        let mut eval = Self::eval(REPORT, &[]);
        match self.guard {
            RestartGuard::Off => eval.arg(""),
            RestartGuard::For(_) => eval.arg(micros(wall)),
        };
        eval.arg(run_id.unwrap_or_default());
        eval
    }

    /// The release of `value` in `slot`.
    pub(super) fn release(&self, slot: u32, value: &str, after_release: AfterRelease) -> Cmd {
        let mut eval = Self::eval(RELEASE, self.target.keys_of(slot));
        eval.arg(value);
        match after_release {
            AfterRelease::StayQueued => eval.arg("").arg(0),
            AfterRelease::LeaveQueue { hold_for } => eval
                .arg(&self.id)
                .arg(u64::try_from(hold_for.as_millis()).unwrap_or(u64::MAX))
                .arg(self.target.queues()),
        };
        eval
    }

    fn watch(&self, queued_since: Option<QueuedSince>) -> Cmd {
        let mut eval = Self::eval(WATCH, self.target.keys());
        // With a single key there is only one value to reply, so that its kind does not matter.
        let kind = if self.target.keys().len() > 1 { self.kind.as_str() } else { "" };
        match queued_since {
            Some(QueuedSince { wall, waited }) => eval
                .arg(&self.id)
                .arg(micros(wall))
                .arg(micros(waited))
                .arg(kind)
                .arg(self.target.queues()),
            None => eval.arg("").arg("").arg("").arg(kind),
        };
        eval
    }

    /// The subscription to the wake-ups of this run.
    pub(super) fn subscribe(&self) -> Cmd {
        let mut subscribe = command("SUBSCRIBE", 0);
        subscribe.arg(format!("redlock-wake:{}", self.id));
        subscribe
    }

    fn eval(script: &str, keys: &[String]) -> Cmd {
        let mut eval =
            command("EVAL", script.len() + keys.iter().map(String::len).sum::<usize>() + 512);
        eval.arg(script).arg(keys.len()).arg(keys);
        eval
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// The command `name`. The buffer has room for `bytes` bytes, some short words, and as many
/// arguments as nearly every command has, and need not grow.
fn command(name: &str, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(12, bytes + 64);
    command.arg(name);
    command
}
