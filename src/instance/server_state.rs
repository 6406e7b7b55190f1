//! State of the server behind the connections to one instance.

use super::commands::Rights;
use super::server_info::Mode;
use crate::lock::{Account, ServerWarning};

/// The server behind the connections to one instance.
#[derive(Debug, Default)]
pub(super) struct ServerState {
    /// The server on the current connection.
    identity: Identity,
    /// Whether an acquisition on this connection has proved the rights to extend and to release.
    rights: Rights,
    /// The `run_id` of the server that has proved the rights, on this connection or an earlier one.
    proved_by: Option<String>,
    /// The mode in the HELLO reply of the server on this connection.
    mode: Option<Mode>,
    /// The last warning about the server.
    remarked: Option<ServerWarning>,
    /// Whether the eviction policy and the replicas were requested.
    was_asked_for_setup: bool,
}

/// The identity of the server on one connection.
#[derive(Debug, Default)]
pub(super) enum Identity {
    /// Not known yet. The next request includes the question.
    #[default]
    Unknown,
    /// The `run_id`, which stays the same until the connection ends.
    Known(String),
    /// The user of redlock has no right to INFO.
    NotPermitted,
}

impl ServerState {
    /// Whether the next request is followed by the request for the report.
    pub(super) const fn is_stranger(&self) -> bool {
        matches!(self.identity, Identity::Unknown)
    }

    /// The `run_id`, if known.
    pub(super) fn run_id(&self) -> Option<&str> {
        if let Identity::Known(run_id) = &self.identity { Some(run_id) } else { None }
    }

    /// Whether an acquisition has proved the rights, on this connection or on an earlier connection
    /// to the same start of the same server.
    pub(super) fn rights(&self) -> Rights {
        match self.run_id() {
            Some(run_id) if self.proved_by.as_deref() == Some(run_id) => Rights::Proved,
            _ => self.rights,
        }
    }

    /// An acquisition was answered on this connection.
    pub(super) fn proved_rights(&mut self) {
        self.rights = Rights::Proved;
        self.proved_by = self.run_id().map(str::to_owned);
    }

    /// Whether any server behind the instance has answered an acquisition.
    pub(super) const fn has_proved_rights(&self) -> bool {
        self.proved_by.is_some()
    }

    /// Whether `warning` differs from the last one.
    pub(super) fn is_news(&mut self, warning: ServerWarning) -> bool {
        self.remarked.replace(warning) != Some(warning)
    }

    /// Whether to request the eviction policy and the replicas. True once.
    pub(super) const fn asks_for_setup(&mut self) -> bool {
        !std::mem::replace(&mut self.was_asked_for_setup, true)
    }

    /// The connection has ended. The next connection may lead to another server.
    pub(super) fn disconnected(&mut self) {
        (self.identity, self.rights, self.mode) = Default::default();
    }

    /// The mode by HELLO, which is sent only once on a connection.
    pub(super) fn hear_mode(&mut self, told: Option<Mode>) -> Option<Mode> {
        self.mode = told.or(self.mode);
        self.mode
    }

    /// Takes the identity from the server's report.
    pub(super) fn learn(&mut self, account: &Account) {
        self.identity = match account {
            Account::Told { run_id, .. } => Identity::Known(run_id.clone()),
            Account::NotPermitted => Identity::NotPermitted,
            Account::Untold(_) => Identity::Unknown,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rights_are_proved_once_for_each_start_of_a_server() {
        let told = |run_id: &str| Account::Told { run_id: run_id.into(), uptime: Duration::ZERO };
        let mut state = ServerState::default();
        assert_eq!(state.rights(), Rights::Unproved);
        state.learn(&told("a"));
        state.proved_rights();
        for (label, account, expected) in [
            ("the same server", told("a"), Rights::Proved),
            ("another start or server", told("b"), Rights::Unproved),
            ("a server that does not tell", Account::NotPermitted, Rights::Unproved),
        ] {
            state.disconnected();
            assert_eq!(state.rights(), Rights::Unproved, "{label}: it has not told yet");
            state.learn(&account);
            assert_eq!(state.rights(), expected, "{label}");
        }
    }
}
