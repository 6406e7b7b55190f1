//! One connection to one instance, strictly first in, first out.

use super::endpoint::Endpoint;
use super::wire::{Gauge, Route, Wire};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A connection and the task that drives it.
#[derive(Debug)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    gauge: Arc<Gauge>,
    queued: u64,
    fresh: bool,
}

/// A write that is queued: its replies, and when the kernel will have it.
pub(super) struct Sent<F> {
    /// The replies to all of its commands, in their order.
    pub(super) replies: F,
    /// The gauge of the connection.
    pub(super) gauge: Arc<Gauge>,
    /// What the gauge shows once the kernel has it.
    pub(super) mark: u64,
}

impl Link {
    /// Connects; nothing is sent yet, so this is one round trip, and another one for TLS 1.3.
    pub(super) async fn connect(endpoint: &Endpoint, route: &mut Route, silence: Duration) -> io::Result<Self> {
        let wire = Wire::connect(endpoint, route, silence).await?;
        let gauge = wire.gauge();
        // AUTH and SELECT ride with the first request, not in a round trip of their own, so the crate is told of neither.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        // A time limit of the crate's would throw late replies away; the limits are kept by those who ask.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&bare, wire, config).await.map_err(io::Error::other)?;
        Ok(Self { connection, driver: tokio::spawn(driver), gauge, queued: 0, fresh: true })
    }

    /// Whether the connection is over. It is never replaced behind anybody's back.
    pub(super) fn is_broken(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether nothing was sent yet; from the first call on, something was.
    pub(super) const fn take_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }

    /// Queues `commands` as one write. The future must be polled once before the next write is queued: that poll is
    /// what puts it in its place.
    pub(super) fn send(
        &mut self,
        commands: Vec<Cmd>,
    ) -> Sent<impl Future<Output = Result<Vec<Value>, RedisError>> + Send + 'static> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        let count = commands.len();
        for command in commands {
            pipeline.add_command(command);
        }
        let bytes = u64::try_from(pipeline.get_packed_pipeline().len()).unwrap_or(u64::MAX);
        self.queued = self.queued.saturating_add(bytes);
        let mut connection = self.connection.clone();
        let replies = async move { connection.send_packed_commands(&pipeline, 0, count).await };
        Sent { replies, gauge: Arc::clone(&self.gauge), mark: self.queued }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The first words on a connection: AUTH and SELECT where they are needed.
pub(super) fn greeting(endpoint: &Endpoint) -> Vec<Cmd> {
    let mut commands = Vec::new();
    if let Some(credentials) = endpoint.credentials() {
        let mut auth = redis::cmd("AUTH");
        if let Some(user) = &credentials.user {
            auth.arg(user);
        }
        auth.arg(&credentials.password);
        commands.push(auth);
    }
    if endpoint.db() != 0 {
        let mut select = redis::cmd("SELECT");
        select.arg(endpoint.db());
        commands.push(select);
    }
    commands
}
