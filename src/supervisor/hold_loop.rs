//! A session without a command: the loop of `redlock acquire` and `redlock hold`.
//!
//! The session decides as it does for a run. In place of a command there is a stand-in: no process,
//! only events. It starts at once, ends with the hold, and dies of every signal that asks a command
//! to end.

use super::clock::{self, AsyncTimer};
use super::hold_ends::{HoldEnd, HoldEnds};
use super::requests::{Requests, rng};
use super::signals::{Received, Signals};
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{Agreement, Holder, InstanceLease, Response, Time};
use crate::policy::{
    Action, ChildEvent, End, Event, Notice, Outcome, RunOptions, Session, Signal, code,
};
use rand::Rng as _;
use std::collections::VecDeque;
use std::time::Duration;

/// All parameters of a hold.
pub struct HoldJob {
    /// The options of the session.
    pub options: RunOptions,
    /// The configuration of this host, to be compared with that of other hosts.
    pub agreement: Agreement,
    /// The instances.
    pub cluster: Cluster,
    /// The run, as the lock value of each attempt names it.
    pub holder: Holder,
    /// The step after the acquisition.
    pub purpose: HoldPurpose,
}

/// The step after the acquisition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HoldPurpose {
    /// Leave, with the lock held.
    Leave,
    /// Extend the lock until the end of the hold.
    Keep,
}

/// The lock, as a handle describes it.
#[derive(Clone, Debug)]
pub struct HeldNow {
    /// The value of the keys.
    pub value: String,
    /// The slot, from 0.
    pub slot: u32,
    /// The lease on each instance.
    pub leases: Vec<InstanceLease>,
    /// The expiry of the lock.
    pub expiry: Time,
}

/// Progress of a hold, for the caller.
#[derive(Clone, Debug)]
pub enum HoldNews {
    /// The lock is held. The caller returns whether it has delivered the handle. If not, the lock
    /// is released.
    Acquired(HeldNow),
    /// The lock was extended.
    Extended(HeldNow),
    /// The parent has delivered the handle, and its end does not end the hold any more.
    Detached,
}

/// Acquires the lock, and holds it until one of `ends`. Returns `None` if the lock is left held
/// ([`HoldPurpose::Leave`]).
///
/// # Errors
/// When the system refuses a timer, a descriptor or randomness.
pub async fn hold(
    job: HoldJob,
    ends: HoldEnds,
    news: &mut dyn FnMut(HoldNews) -> bool,
    tell: &mut dyn FnMut(Notice),
) -> Result<Option<Outcome>, SystemError> {
    let mut rng = rng()?;
    let signals = Signals::listen().map_err(system_error("a descriptor for signals"))?;
    let mut session = Session::new(job.options, job.agreement, clock::now());
    let mut hold = HoldLoop {
        timer: AsyncTimer::new().map_err(system_error("a timer"))?,
        requests: Requests::new(job.cluster, job.holder),
        signals,
        ends,
        op_timeout: job.options.schedule.op_timeout(),
        purpose: job.purpose,
        stage: HoldStage::Waiting,
        unanswered: vec![true; job.options.size.count()],
        told: Time::default(),
        next: VecDeque::from([Event::Woke]),
    };
    loop {
        let event = match hold.next.pop_front() {
            Some(event) => event,
            None => hold.wait(&session).await?,
        };
        let now = clock::now();
        hold.note(&event);
        for action in session.handle(now, rng.next_u32(), event) {
            if let Action::End(outcome) = action {
                // The kernel has taken every request.
                std::mem::forget((hold.requests, hold.timer, hold.signals));
                return Ok(Some(outcome));
            }
            hold.act(now, action, tell)?;
        }
        if hold.deliver(now, &session, news) {
            std::mem::forget((hold.requests, hold.timer, hold.signals));
            return Ok(None);
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HoldStage {
    /// The lock is not held yet.
    Waiting,
    /// The lock is held since this moment, and the handle is not delivered yet.
    Acquired(Time),
    /// The handle is delivered.
    Held,
    /// The stand-in has ended.
    Ended,
}

struct HoldLoop {
    timer: AsyncTimer,
    requests: Requests,
    signals: Signals,
    ends: HoldEnds,
    op_timeout: Duration,
    purpose: HoldPurpose,
    stage: HoldStage,
    /// Instances that have not answered the current attempt.
    unanswered: Vec<bool>,
    /// The latest expiry that the caller was told.
    told: Time,
    /// Events that an action caused.
    next: VecDeque<Event>,
}

impl HoldLoop {
    async fn wait(&mut self, session: &Session) -> Result<Event, SystemError> {
        let own = match self.stage {
            HoldStage::Acquired(since) => since.plus(self.op_timeout),
            HoldStage::Waiting | HoldStage::Held | HoldStage::Ended => Time::NEVER,
        };
        let wake_at = session.wake_at().min(own);
        let event = tokio::select! {
            biased;
            // There is no other process to which a terminal sends a signal as well.
            Some(Received { signal, .. }) = self.signals.next() => Event::Signal(signal),
            heard = self.requests.cluster.heard() => Event::Response(heard),
            end = self.ends.next() => {
                self.end(end);
                Event::Woke
            }
            result = self.timer.wait_until(wake_at) => {
                result.map_err(system_error("a timer"))?;
                Event::Woke
            }
        };
        Ok(event)
    }

    /// Acts on an end of the hold.
    fn end(&mut self, end: HoldEnd) {
        match end {
            // If the parent is gone, no process has the handle.
            HoldEnd::ParentGone => self.next.push_back(Event::Signal(Signal::TERM)),
            HoldEnd::Watched => match self.stage {
                HoldStage::Waiting => self.next.push_back(Event::Signal(Signal::TERM)),
                HoldStage::Acquired(_) | HoldStage::Held => self.end_by(End::Exited(0)),
                HoldStage::Ended => {}
            },
            HoldEnd::Detached => {}
        }
    }

    fn end_by(&mut self, end: End) {
        if !matches!(self.stage, HoldStage::Waiting | HoldStage::Ended) {
            self.stage = HoldStage::Ended;
            self.next.push_back(Event::Child(ChildEvent::Ended { end, at: clock::now() }));
        }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Response(received) = event
            && let Response::Vote(..) = received.response
            && let Some(open) = self.unanswered.get_mut(received.instance)
        {
            *open = false;
        }
    }

    fn act(
        &mut self,
        now: Time,
        action: Action,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<(), SystemError> {
        match &action {
            Action::Acquire(..) | Action::Propose { .. } => self.unanswered.fill(true),
            Action::Start { stop_at, .. } if now < *stop_at => {
                self.requests.fence().into_iter().for_each(|token| tell(Notice::Fenced(token)));
                self.stage = HoldStage::Acquired(now);
                self.next.push_back(Event::Child(ChildEvent::Started));
            }
            Action::Start { .. } => self.next.push_back(Event::Child(ChildEvent::TooLate)),
            Action::ForwardSignal(signal) if signal.asks_to_end() => {
                self.end_by(End::Signaled(*signal));
            }
            Action::Stop(signal) => self.end_by(End::Signaled(*signal)),
            Action::Kill => {
                self.stage = HoldStage::Ended;
                self.next.push_back(Event::Child(ChildEvent::Gone));
            }
            // The stand-in is no command to tell of.
            Action::Notify(
                Notice::MaxRuntimeExceeded | Notice::CommandStarted | Notice::CommandEnded(_),
            ) => {}
            Action::Notify(notice) => tell(notice.clone()),
            _ => {}
        }
        self.requests.act(now, action)
    }

    /// Passes the news of the lock to the caller. Returns whether to exit with the lock held.
    fn deliver(
        &mut self,
        now: Time,
        session: &Session,
        news: &mut dyn FnMut(HoldNews) -> bool,
    ) -> bool {
        if self.ends.was_detached() {
            let _ = news(HoldNews::Detached);
        }
        let held = session.held_lock().and_then(|held_lock| {
            Some(HeldNow {
                value: self.requests.value().to_owned(),
                slot: self.requests.slot(),
                leases: held_lock.leases().to_vec(),
                expiry: held_lock.deadline()?,
            })
        });
        let Some(held) = held else { return false };
        match self.stage {
            // The stand-in has started, and so the session counts the lock as held.
            HoldStage::Acquired(since) if self.next.is_empty() => {
                let is_settled = match self.purpose {
                    HoldPurpose::Leave => {
                        !self.unanswered.contains(&true) || now >= since.plus(self.op_timeout)
                    }
                    HoldPurpose::Keep => true,
                };
                if !is_settled {
                    return false;
                }
                self.told = held.expiry;
                self.stage = HoldStage::Held;
                let is_delivered = news(HoldNews::Acquired(held));
                if !is_delivered {
                    self.end_by(End::Exited(code::FAILED));
                }
                is_delivered && self.purpose == HoldPurpose::Leave
            }
            HoldStage::Held if held.expiry > self.told => {
                self.told = held.expiry;
                let _ = news(HoldNews::Extended(held));
                false
            }
            _ => false,
        }
    }
}
