//! All instances at once.

use super::endpoint::Endpoint;
use super::worker::Worker;
use crate::lock::{Ask, Guard, Heard, Target, Time, Ttl};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How every instance is treated during one run.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// What is locked.
    pub target: Target,
    /// The public name of the run, by which it waits and is woken.
    pub id: String,
    /// What the claims of all hosts contain that use the lock as this run does ([`crate::lock::Agreement::kind`]).
    pub kind: String,
    /// Its TTL.
    pub ttl: Ttl,
    /// How long one operation may take, from the look-up of the name to the reply.
    pub op_timeout: Duration,
    /// How long a server must have kept its memory; without it no mark is left there.
    pub guard: Guard,
    /// The wall clock, since 1970.
    pub wall_clock: fn() -> Duration,
}

/// The instances, each with a connection of its own.
pub struct Cluster {
    workers: Vec<(Worker, Arc<Bell>)>,
    heard: VecDeque<Heard>,
    listener: Arc<Listener>,
}

/// Whoever waits to hear something.
struct Listener(Mutex<Waker>);

impl Listener {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rung when one worker has something to do: looking whether the others have would cost more than what there is to be done.
struct Bell {
    is_rung: AtomicBool,
    listener: Arc<Listener>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.listener.waker().wake_by_ref();
    }
}

impl Cluster {
    /// Nobody connects before being asked.
    #[must_use]
    pub fn new(endpoints: &[Endpoint], conduct: Conduct) -> Self {
        let conduct = Arc::new(conduct);
        let listener = Arc::new(Listener(Mutex::new(Waker::noop().clone())));
        let worker = |(instance, endpoint): (usize, &Endpoint)| {
            let bell = Bell { is_rung: AtomicBool::new(false), listener: Arc::clone(&listener) };
            (Worker::new(instance, endpoint.clone(), Arc::clone(&conduct)), Arc::new(bell))
        };
        Self { workers: endpoints.iter().enumerate().map(worker).collect(), heard: VecDeque::new(), listener }
    }

    /// Asks all instances at once; `now` is before any byte of it is written. What is asked before [`Cluster::heard`] or
    /// [`Cluster::flush`] goes to each in one write.
    pub fn ask_all(&mut self, now: Time, ask: &Ask) {
        (0..self.workers.len()).for_each(|instance| self.ask(instance, now, ask.clone()));
    }

    /// Asks one instance; a number that nobody has is nobody's request.
    pub fn ask(&mut self, instance: usize, now: Time, ask: Ask) {
        if let Some((worker, bell)) = self.workers.get_mut(instance) {
            worker.ask(now, ask, &mut self.heard);
            bell.is_rung.store(true, Ordering::Release);
        }
    }

    /// Does what can be done now, such as writing; [`Cluster::heard`] waits for the rest.
    pub fn flush(&mut self) {
        for (worker, bell) in &mut self.workers {
            if bell.is_rung.swap(false, Ordering::Acquire) {
                let waker = Waker::from(Arc::clone(bell));
                worker.work(&mut Context::from_waker(&waker), &mut self.heard);
            }
        }
    }

    /// The next answer of any instance. Nothing is lost if the future is dropped.
    pub async fn heard(&mut self) -> Heard {
        std::future::poll_fn(|cx| {
            // Whoever rings after this wakes us. What was asked goes out before more is said of what was answered.
            self.listener.waker().clone_from(cx.waker());
            self.flush();
            self.heard.pop_front().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
