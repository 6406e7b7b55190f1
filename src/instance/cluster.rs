//! All instances at once.

use super::endpoint::Endpoint;
use super::info::Guard;
use super::worker::Worker;
use crate::lock::{Ask, Heard, Target, Time, Ttl};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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

/// The instances, each with a connection of its own.
pub struct Cluster {
    workers: Vec<Worker>,
    heard: VecDeque<Heard>,
}

impl Cluster {
    /// Nobody connects before being asked.
    #[must_use]
    pub fn new(endpoints: &[Endpoint], conduct: Conduct) -> Self {
        let conduct = Arc::new(conduct);
        let worker =
            |(instance, endpoint): (usize, &Endpoint)| Worker::new(instance, endpoint.clone(), Arc::clone(&conduct));
        Self { workers: endpoints.iter().enumerate().map(worker).collect(), heard: VecDeque::new() }
    }

    /// Asks all instances at once; `now` is before any byte of it is written. What is asked before [`Cluster::heard`] or
    /// [`Cluster::flush`] goes to each in one write.
    pub fn ask_all(&mut self, now: Time, ask: &Ask) {
        (0..self.workers.len()).for_each(|instance| self.ask(instance, now, ask.clone()));
    }

    /// Asks one instance; a number that nobody has is nobody's request.
    pub fn ask(&mut self, instance: usize, now: Time, ask: Ask) {
        if let Some(worker) = self.workers.get_mut(instance) {
            worker.ask(now, ask, &mut self.heard);
        }
    }

    /// Writes what can be written now; [`Cluster::heard`] waits for the rest.
    pub fn flush(&mut self) {
        self.work(&mut Context::from_waker(Waker::noop()));
    }

    fn work(&mut self, cx: &mut Context<'_>) {
        for worker in &mut self.workers {
            worker.work(cx, &mut self.heard);
        }
    }

    /// The next answer of any instance. Nothing is lost if the future is dropped.
    pub async fn heard(&mut self) -> Heard {
        std::future::poll_fn(|cx| {
            // All of them, also where one has said something: whoever is not asked would not wake us.
            self.work(cx);
            self.heard.pop_front().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
