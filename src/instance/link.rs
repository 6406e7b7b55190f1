//! One connection to one instance, strictly first in, first out.

use super::endpoint::Endpoint;
use super::silent::Silent;
use super::wire::{Gauge, Route, Wire};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, Value};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A connection and the task that drives it.
#[derive(Debug)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    gauge: Arc<Gauge>,
    ears: Arc<Ears>,
    queued: u64,
    fresh: bool,
}

/// Whether anything that the server says of its own accord would be heard on a connection.
#[derive(Debug, Default)]
pub(super) struct Ears {
    /// The server speaks a protocol in which it can say something.
    speaks: AtomicBool,
    /// The subscription was sent.
    asked: AtomicBool,
    /// The subscription was refused.
    refused: AtomicBool,
    /// The first write was answered, or never will be.
    greeted: AtomicBool,
}

impl Ears {
    /// Whether a wake-up would be heard.
    pub(super) fn can_listen(&self) -> bool {
        self.speaks.load(Ordering::Relaxed) && !self.refused.load(Ordering::Relaxed)
    }

    /// Whether the subscription is to be sent now; from then on it was.
    pub(super) fn ask(&self) -> bool {
        self.can_listen() && !self.asked.swap(true, Ordering::Relaxed)
    }

    /// Whether this connection stands in a queue.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether it is known what the server speaks.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Relaxed)
    }

    /// What the replies to one write say of it.
    pub(super) fn learn(&self, speaks: bool, subscribed: Option<bool>) {
        if speaks {
            self.speaks.store(true, Ordering::Relaxed);
        }
        if subscribed == Some(false) {
            self.refused.store(true, Ordering::Relaxed);
        }
        self.greeted.store(true, Ordering::Relaxed);
    }
}

/// The replies to all commands of one write, in their order. Boxed, because who waits for it is moved about, and it is
/// kilobytes.
pub(super) type Replies = Pin<Box<dyn Future<Output = Result<Vec<Value>, RedisError>> + Send>>;

/// A write that is queued: its replies, and when the kernel will have it.
pub(super) struct Sent {
    /// Its replies.
    pub(super) replies: Replies,
    /// The gauge of the connection.
    pub(super) gauge: Arc<Gauge>,
    /// What the gauge shows once the kernel has it.
    pub(super) mark: u64,
}

impl Link {
    /// Connects; nothing is sent yet, so this is one round trip, and another one for TLS 1.3. `hear` gets what the server
    /// says of its own accord.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        route: &mut Route,
        silence: Duration,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let wire = Wire::connect(endpoint, route, silence).await?;
        let gauge = wire.gauge();
        // AUTH and SELECT ride with the first request, not in a round trip of their own, so the crate is told of neither.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP3);
        let hear = move |push| {
            hear(push);
            Ok::<(), ()>(())
        };
        // A time limit of the crate's would throw late replies away; the limits are kept by those who ask.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(hear);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&bare, Silent::new(wire), config).await.map_err(io::Error::other)?;
        Ok(Self { connection, driver: tokio::spawn(driver), gauge, ears: Arc::default(), queued: 0, fresh: true })
    }

    /// Whether the connection is over. It is never replaced behind anybody's back.
    pub(super) fn is_broken(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether the server would be heard.
    pub(super) fn ears(&self) -> Arc<Ears> {
        Arc::clone(&self.ears)
    }

    /// Whether nothing was sent yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The same; from the first call on, something was.
    pub(super) const fn take_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }

    /// Queues `commands` as one write. The future must be polled once before the next write is queued: that poll is
    /// what puts it in its place.
    pub(super) fn send(&mut self, commands: Vec<Cmd>) -> Sent {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        let count = commands.len();
        for command in commands {
            pipeline.add_command(command);
        }
        let bytes = u64::try_from(pipeline.get_packed_pipeline().len()).unwrap_or(u64::MAX);
        self.queued = self.queued.saturating_add(bytes);
        let mut connection = self.connection.clone();
        let replies = Box::pin(async move { connection.send_packed_commands(&pipeline, 0, count).await });
        Sent { replies, gauge: Arc::clone(&self.gauge), mark: self.queued }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
