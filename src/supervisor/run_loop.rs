//! One run: the loop that passes events to the session and carries out its actions.

use super::clock::{self, AsyncTimer};
use super::guardian::descendants::{Descendants, is_stopped};
use super::guardian::{EventListener, GuardianEvent, GuardianHandle, Missing, Program};
use super::lost_hook::Hook;
use super::record::Will;
use super::requests::{Requests, rng};
use super::signals::{Received, Signals};
use super::sys;
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{Agreement, Holder, Time};
use crate::policy::{Action, ChildEvent, Event, Notice, Outcome, RunOptions, Session, Signal};
use rand::Rng as _;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::time::Duration;

/// All parameters of a run.
pub struct Job {
    /// The options of the run.
    pub options: RunOptions,
    /// The configuration of this run, to be compared with that of other hosts.
    pub agreement: Agreement,
    /// The instances.
    pub cluster: Cluster,
    /// The run, as the lock value of each attempt names it.
    pub holder: Holder,
    /// The script for `sh -c` when the lock is lost.
    pub on_lost: Option<OsString>,
    /// The command, and the variables that are hidden from both the command and the hook.
    pub program: Program,
    /// The guardian that starts the command.
    pub guardian: GuardianHandle,
    /// The record that the guardian writes if redlock is killed.
    pub will: Option<Will>,
}

/// Error that ends a run.
#[derive(Debug)]
pub enum RunError {
    /// Means that the guardian needs and does not have. Nothing was locked.
    Missing(Missing),
    /// Refusal of the system. The guardian ends the command.
    System(SystemError),
}

impl From<SystemError> for RunError {
    fn from(error: SystemError) -> Self {
        Self::System(error)
    }
}

/// Runs `job` to its end. `tell` receives the notices. `last` returns the record that the guardian
/// writes after this outcome.
///
/// # Errors
/// When the guardian is not able to end a command, or the system refuses a timer, a descriptor or
/// randomness.
pub async fn run(
    job: Job,
    tell: &mut dyn FnMut(Notice),
    last: &mut dyn FnMut(&Outcome) -> Option<Will>,
) -> Result<Outcome, RunError> {
    let mut rng = rng()?;
    let signals = Signals::listen().map_err(system_error("a descriptor for signals"))?;
    let timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let requests = Requests::new(job.cluster, job.holder);
    // The guardian has had time to test its means since the split.
    job.guardian.until_ready().map_err(RunError::Missing)?;
    job.will.iter().for_each(|will| job.guardian.set_will(will.clone()));
    let mut session = Session::new(job.options, job.agreement, clock::now());
    let mut run = RunLoop {
        timer,
        descendants: job.guardian.descendants(),
        listener: Some(job.guardian.listen().map_err(system_error("a socket"))?),
        requests,
        signals,
        slots: job.options.slots,
        program: job.program,
        hook: Hook::new(job.on_lost),
        guardian: job.guardian,
        will: job.will,
        command: None,
        kill_at: Time::NEVER,
        next: VecDeque::from([Event::Woke]),
        tell,
    };
    loop {
        let event = match run.next.pop_front() {
            Some(event) => event,
            None => run.wait(&session).await?,
        };
        let now = clock::now();
        if now >= run.kill_at {
            run.kill(now);
        }
        for action in session.handle(now, rng.next_u32(), event) {
            if let Action::End(outcome) = action {
                run.leave(|| last(&outcome));
                return Ok(outcome);
            }
            run.act(now, action)?;
        }
    }
}

/// Time from one try to write to a full guardian socket to the next.
const BACKLOG: Duration = Duration::from_millis(2);

struct RunLoop<'a> {
    timer: AsyncTimer,
    descendants: Descendants,
    /// `None` when the guardian is gone.
    listener: Option<EventListener>,
    requests: Requests,
    signals: Signals,
    slots: u32,
    program: Program,
    hook: Hook,
    guardian: GuardianHandle,
    will: Option<Will>,
    /// Pid of the running command.
    command: Option<i32>,
    /// Moment of the next kill of the processes that a dead guardian left.
    kill_at: Time,
    /// Events that an action caused.
    next: VecDeque<Event>,
    tell: &'a mut dyn FnMut(Notice),
}

impl RunLoop<'_> {
    /// Waits for the hook within its limit. Passes the last record to the guardian, and waits until
    /// the guardian has exited.
    fn leave(self, last: impl FnOnce() -> Option<Will>) {
        self.hook.finish();
        self.guardian.set_hook(None);
        match last() {
            Some(will) if self.listener.is_none() => will.execute(),
            will => will.into_iter().for_each(|will| self.guardian.set_will(will)),
        }
        self.guardian.see_off();
        // The kernel has taken every request, and closes all descriptors at once at the exit.
        std::mem::forget((self.requests, self.timer, self.signals, self.listener));
    }

    /// Waits for the next event.
    async fn wait(&mut self, session: &Session) -> Result<Event, SystemError> {
        let mut wake_at = session.wake_at().min(self.kill_at);
        if self.guardian.has_backlog() {
            self.guardian.flush();
            wake_at = wake_at.min(clock::now().plus(BACKLOG));
        }
        let report = async {
            match &mut self.listener {
                Some(listener) => listener.next().await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            biased;
            Some(Received { signal, is_typed }) = self.signals.next() => {
                if is_typed { Event::Typed(signal) } else { Event::Signal(signal) }
            }
            report = report => self.hear(report),
            heard = self.requests.cluster.heard() => Event::Response(heard),
            result = self.timer.wait_until(wake_at) => {
                result.map_err(system_error("a timer"))?;
                Event::Woke
            }
        })
    }

    fn hear(&mut self, report: Option<GuardianEvent>) -> Event {
        let Some(GuardianEvent { pid, what, .. }) = report else {
            self.listener = None;
            self.guardian.forget();
            return Event::Child(ChildEvent::Orphaned);
        };
        if what == ChildEvent::Started {
            self.command = Some(pid);
        }
        Event::Child(what)
    }

    fn act(&mut self, now: Time, action: Action) -> Result<(), SystemError> {
        match action {
            Action::Acquire(..)
            | Action::Propose { .. }
            | Action::Raise(..)
            | Action::Extend(..)
            | Action::Release(..)
            | Action::AskStatus { .. } => self.requests.act(now, action)?,
            Action::Start { stop_at, kill_at } => {
                let mut program = self.program.clone();
                program.variables.extend(self.attempt_variables());
                self.guardian.start(0, program, stop_at, kill_at);
            }
            Action::SetKillDeadline(kill_at) => self.guardian.set_kill_deadline(kill_at),
            Action::ForwardSignal(signal) => self.guardian.signal(signal, false),
            Action::Stop(signal) => self.guardian.signal(signal, true),
            Action::Kill => self.kill(now),
            Action::AwaitDescendants => self.guardian.wait_for_tree(),
            // A hook that cannot be started is no reason to end the run: the loss is reported in
            // any case.
            Action::RunLostHook => {
                let group = self.hook.start(&self.program.variables, &self.program.hidden);
                group
                    .ok()
                    .flatten()
                    .into_iter()
                    .for_each(|group| self.guardian.set_hook(Some(group)));
            }
            Action::Suspend(signal) => self.suspend(signal),
            Action::Resume => {
                self.guardian.resume(self.listener.as_ref().map_or(0, EventListener::stops));
            }
            Action::Dismiss => self.guardian.dismiss(),
            Action::Notify(notice) => (self.tell)(notice),
            // The loop ends with this action.
            Action::End(_) => {}
        }
        Ok(())
    }

    /// The variables of the command that depend on the attempt. Reports the fencing token, and
    /// passes it to the guardian for the record of a redlock that is killed.
    fn attempt_variables(&mut self) -> Vec<(String, String)> {
        let slot = (self.slots > 1).then(|| {
            ("REDLOCK_SLOT".to_owned(), self.requests.slot().saturating_add(1).to_string())
        });
        let fence = self.requests.fence();
        if let Some(token) = fence {
            (self.tell)(Notice::Fenced(token));
            if let Some(will) = &mut self.will {
                will.record.fence = Some(token.get());
                self.guardian.set_will(will.clone());
            }
        }
        let fence = fence.map(|token| ("REDLOCK_FENCE".to_owned(), token.to_string()));
        slot.into_iter().chain(fence).collect()
    }

    /// Stops redlock with its command. Does nothing if a shell has continued the command already.
    fn suspend(&mut self, signal: Signal) {
        if self.command.is_none_or(is_stopped) && self.signals.stop_by(signal) {
            // A shell continues both processes. If only redlock was continued, the guardian
            // continues the command, unless that is another stop.
            let resumed = self.command.map(|_| Event::Child(ChildEvent::Resumed));
            self.next.push_back(resumed.unwrap_or(Event::Woke));
        }
    }

    /// Kills the tree through the guardian. If the guardian is dead, its processes are now
    /// redlock's descendants, and redlock kills them itself. The lock is kept until all of them
    /// have ended.
    fn kill(&mut self, now: Time) {
        if self.listener.is_some() {
            return self.guardian.kill();
        }
        let left = self.descendants.kill();
        while sys::reap().is_some() {}
        let news = if sys::has_children() == Some(false) {
            self.kill_at = Time::NEVER;
            Some(ChildEvent::Gone)
        } else {
            let news = self.descendants.news(left);
            self.kill_at = now.plus(Duration::from_millis(self.descendants.patience().into()));
            news
        };
        self.next.extend(news.map(Event::Child));
    }
}
