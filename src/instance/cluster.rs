//! All instances at once.

use super::endpoint::Endpoint;
use super::info::Guard;
use super::worker::Worker;
use crate::lock::{Ask, Heard, Target, Time, Ttl};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How every instance is treated during one run.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// What is locked.
    pub target: Target,
    /// The public name of the run, by which it waits and is woken.
    pub id: String,
    /// Its TTL.
    pub ttl: Ttl,
    /// How long one operation may take, from the look-up of the name to the reply.
    pub op_timeout: Duration,
    /// How long a server must have been up.
    pub guard: Guard,
}

/// The instances, each with a task and a connection of its own.
#[derive(Debug)]
pub struct Cluster {
    asks: Vec<UnboundedSender<(Time, Ask)>>,
    heard: UnboundedReceiver<Heard>,
}

impl Cluster {
    /// Starts a task for each of `endpoints`; nobody connects before being asked.
    #[must_use]
    pub fn start(endpoints: &[Endpoint], conduct: Conduct) -> Self {
        let (tell, heard) = unbounded_channel();
        let conduct = Arc::new(conduct);
        let start = |(instance, endpoint): (usize, &Endpoint)| {
            let (ask, asks) = unbounded_channel();
            let worker = Worker::new(instance, endpoint.clone(), Arc::clone(&conduct), tell.clone());
            tokio::spawn(worker.run(asks));
            ask
        };
        let asks = endpoints.iter().enumerate().map(start).collect();
        Self { asks, heard }
    }

    /// Asks all instances at once; `now` is before any byte of it is written.
    pub fn ask_all(&self, now: Time, ask: &Ask) {
        (0..self.asks.len()).for_each(|instance| self.ask(instance, now, ask.clone()));
    }

    /// Asks one instance; a number that nobody has is nobody's request.
    pub fn ask(&self, instance: usize, now: Time, ask: Ask) {
        if let Some(asks) = self.asks.get(instance) {
            // A worker ends only with the runtime.
            let _ = asks.send((now, ask));
        }
    }

    /// The next answer of any instance.
    pub async fn heard(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}
