//! All instances at once.

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::settings::ClusterSettings;
use crate::lock::{InstanceResponse, Request, Time};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The instances, each with a connection of its own.
pub struct Cluster {
    connections: Vec<(Connection, Arc<ReadyFlag>)>,
    heard: VecDeque<InstanceResponse>,
    listener: Arc<ClusterWaker>,
}

/// The waker of the task that waits for responses.
struct ClusterWaker(Mutex<Waker>);

impl ClusterWaker {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Flag of a connection with work to do. Polling all connections would cost more than the work of
/// one.
struct ReadyFlag {
    is_rung: AtomicBool,
    listener: Arc<ClusterWaker>,
}

impl Wake for ReadyFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.listener.waker().wake_by_ref();
    }
}

impl Cluster {
    /// The cluster at `endpoints`. No connection is made before the first request.
    #[must_use]
    pub fn new(endpoints: &[Endpoint], settings: ClusterSettings) -> Self {
        let settings = Arc::new(settings);
        let listener = Arc::new(ClusterWaker(Mutex::new(Waker::noop().clone())));
        let connection = |(instance, endpoint): (usize, &Endpoint)| {
            let ready =
                ReadyFlag { is_rung: AtomicBool::new(false), listener: Arc::clone(&listener) };
            (Connection::new(instance, endpoint.clone(), Arc::clone(&settings)), Arc::new(ready))
        };
        Self {
            connections: endpoints.iter().enumerate().map(connection).collect(),
            heard: VecDeque::new(),
            listener,
        }
    }

    /// Notes that an earlier process may have set `value` in `slot` on any instance. Otherwise a
    /// release would not be sent.
    pub fn assume_set(&mut self, slot: u32, value: &str) {
        self.connections.iter_mut().for_each(|(connection, _)| connection.assume_set(slot, value));
    }

    /// Sends a request to all instances at once. `now` is a moment before the first byte is
    /// written. Requests before [`Cluster::heard`] or [`Cluster::flush`] go to each instance in one
    /// write.
    pub fn ask_all(&mut self, now: Time, request: &Request) {
        (0..self.connections.len()).for_each(|instance| self.ask(instance, now, request.clone()));
    }

    /// Sends a request to one instance. A number without an instance is ignored.
    pub fn ask(&mut self, instance: usize, now: Time, request: Request) {
        if let Some((connection, ready)) = self.connections.get_mut(instance) {
            connection.ask(now, request, &mut self.heard);
            ready.is_rung.store(true, Ordering::Release);
        }
    }

    /// Writes and reads as far as possible now. [`Cluster::heard`] waits for the rest.
    pub fn flush(&mut self) {
        for (connection, ready) in &mut self.connections {
            if ready.is_rung.swap(false, Ordering::Acquire) {
                let waker = Waker::from(Arc::clone(ready));
                connection.work(&mut Context::from_waker(&waker), &mut self.heard);
            }
        }
    }

    /// The next response of any instance. No response is lost if the future is dropped.
    pub async fn heard(&mut self) -> InstanceResponse {
        std::future::poll_fn(|cx| {
            // Register the waker before the work: no wake-up is lost. Send requests before the next
            // response is returned.
            self.listener.waker().clone_from(cx.waker());
            self.flush();
            self.heard.pop_front().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
