//! The commands of one write: those of a new connection, the request, and its additions.

use super::commands::{greeting, hello, server_info};
use super::endpoint::Endpoint;
use super::pipeline::Pipeline;
use super::reply::{Asked, Part};
use super::server_state::ServerState;
use super::settings::ClusterSettings;
use super::unreleased::{UnreleasedValue, UnreleasedValues};
use crate::lock::{AfterRelease, Request, RestartGuard};
use redis::Cmd;

/// The commands of one write, and the purpose of each.
pub(super) struct Batch {
    pub(super) commands: Vec<(Part, Cmd)>,
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
            may_lack_tls: is_first && endpoint.may_lack_tls() && !known.has_proved_rights(),
            asked,
        };
        if is_first {
            batch.open(request, settings, endpoint, unreleased);
        }
        match request {
            // The first acquisition also requests the eviction policy and the replicas, so that a
            // short run is warned as well. INFO takes a server some 7 us. Several sections in one
            // INFO need Redis 7.
            Request::Acquire { .. } | Request::Extend { .. } if known.asks_for_setup() => {
                batch.commands.push((Part::Setup, server_info("memory")));
                batch.commands.push((Part::Setup, server_info("replication")));
            }
            Request::Status(Some(_)) if pipeline.push_mut().ask() => {
                batch.commands.push((Part::Subscription, settings.subscribe()));
            }
            _ => {}
        }
        let command = settings.command(request, pipeline.push(), known.rights());
        batch.commands.push((Part::Request, command));
        // Behind the request: a server that loses its memory between the two loses the key as well.
        let depends_on_memory =
            matches!(request, Request::Acquire { .. } | Request::Status(None)) && asked.marks;
        if known.is_stranger() || (depends_on_memory && known.run_id().is_some()) {
            let report = settings.report(asked.wall, known.run_id());
            batch.commands.push((Part::ServerReport, report));
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
        let greeting = greeting(endpoint).into_iter().map(|command| (Part::Greeting, command));
        self.commands.extend(greeting);
        if endpoint.may_greet() {
            self.commands.push((Part::Hello, hello()));
        }
        // Releases the values that a broken connection may have left behind, except for the value
        // of this request.
        let own = match request {
            Request::Acquire { value, .. }
            | Request::Extend { value, .. }
            | Request::Raise { value, .. }
            | Request::Release { value, .. } => Some(value.as_str()),
            Request::Status(_) => None,
        };
        for UnreleasedValue { slot, value, .. } in unreleased.owed(own) {
            let release = settings.release(*slot, value, AfterRelease::StayQueued);
            self.commands.push((Part::EarlierRelease, release));
        }
    }
}
