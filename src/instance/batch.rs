//! The commands of one write: those of a new connection, the request, and its additions.

use super::commands::{greeting, hello, server_info};
use super::endpoint::Endpoint;
use super::pipeline::Pipeline;
use super::reply::{Asked, Part};
use super::server_state::ServerState;
use super::settings::ClusterSettings;
use super::unreleased::UnreleasedValues;
use crate::lock::{AfterRelease, Request, RestartGuard};
use redis::Cmd;

/// The commands of one write, and the purpose of each.
pub(super) struct Batch {
    pub(super) commands: Vec<Cmd>,
    pub(super) parts: Vec<Part>,
    /// Whether an end without a reply may mean that the server expects TLS: this write is the first
    /// on its connection, and no acquisition was answered on an earlier one.
    pub(super) may_lack_tls: bool,
    pub(super) asked: Asked,
}

impl Batch {
    /// The write of `request` on `pipeline`.
    pub(super) fn new(
        (request, pipeline): (&Request, &mut Pipeline),
        settings: &ClusterSettings,
        endpoint: &Endpoint,
        (known, unreleased): (&mut ServerState, &UnreleasedValues),
    ) -> Self {
        let asked =
            Asked { wall: (settings.wall_clock)(), marks: settings.guard != RestartGuard::Off };
        let is_first = pipeline.is_fresh();
        let mut batch = Self {
            commands: Vec::with_capacity(4),
            parts: Vec::with_capacity(4),
            may_lack_tls: is_first && endpoint.may_lack_tls() && !known.has_proved_rights(),
            asked,
        };
        if is_first {
            batch.open(request, settings, endpoint, unreleased);
        }
        match request {
            // The first acquisition also requests the eviction policy and the replicas: a short run
            // is warned as well, and INFO takes a server some 7 us. Only Redis 7 knows several
            // sections in one INFO.
            Request::Acquire { .. } | Request::Extend { .. } if known.asks_for_setup() => {
                batch.add(Part::Setup, server_info("memory"));
                batch.add(Part::Setup, server_info("replication"));
            }
            Request::Status(Some(_)) if pipeline.push_mut().ask() => {
                batch.add(Part::Subscription, settings.subscribe());
            }
            _ => {}
        }
        batch.add(Part::Request, settings.command(request, pipeline.push(), known.rights()));
        // Behind the request: a loss of memory in between takes the key with it.
        let depends_on_memory =
            matches!(request, Request::Acquire { .. } | Request::Status(None)) && asked.marks;
        if known.is_stranger() || (depends_on_memory && known.run_id().is_some()) {
            batch.add(Part::ServerReport, settings.report(asked.wall, known.run_id()));
        }
        batch
    }

    /// The commands that come first on a new connection.
    fn open(
        &mut self,
        request: &Request,
        settings: &ClusterSettings,
        endpoint: &Endpoint,
        unreleased: &UnreleasedValues,
    ) {
        for command in greeting(endpoint) {
            self.add(Part::Greeting, command);
        }
        if endpoint.may_greet() {
            self.add(Part::Hello, hello());
        }
        // Values that a broken connection may have left behind are released, except for the value
        // of this request.
        let own = match request {
            Request::Acquire { value, .. }
            | Request::Extend { value, .. }
            | Request::Raise { value, .. }
            | Request::Release { value, .. } => Some(value.as_str()),
            Request::Status(_) => None,
        };
        for unreleased_value in unreleased.owed(own) {
            self.add(
                Part::EarlierRelease,
                settings.release(
                    unreleased_value.slot,
                    &unreleased_value.value,
                    AfterRelease::StayQueued,
                ),
            );
        }
    }

    fn add(&mut self, part: Part, command: Cmd) {
        self.commands.push(command);
        self.parts.push(part);
    }
}
