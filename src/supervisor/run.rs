//! One run: the loop that carries events to the session and carries out what it answers.

use super::clock::{self, Alarm};
use super::descendants::{self, Left};
use super::hook::Hook;
use super::precedence::deeds_first;
use super::seat::Seat;
use super::signals::Signals;
use super::terminal::Terminal;
use super::ward::{Listener, Report, Ward};
use crate::instance::{Cluster, Conduct, Endpoint};
use crate::lock::{Arrival, Ask, Claim, Parting, Time, Token};
use crate::policy::{Action, Child, Event, Notice, Outcome, Session, SpawnError, Terms};
use nix::unistd::Pid;
use rand::rngs::{SmallRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

/// Everything a run needs.
#[derive(Debug)]
pub struct Job {
    /// What the run was told to do.
    pub terms: Terms,
    /// The instances.
    pub endpoints: Vec<Endpoint>,
    /// How to treat them.
    pub conduct: Conduct,
    /// What the holder says of itself; token and time are filled in at each attempt.
    pub claim: Claim,
    /// What the command's environment has in addition.
    pub variables: Vec<(String, String)>,
    /// What is run by `sh -c` when the lock is lost.
    pub on_lost: Option<OsString>,
    /// Variables that neither the command nor that sees.
    pub hidden: Vec<String>,
    /// The guardian, whose first program is the command.
    pub ward: Ward,
    /// The terminal, if there is one.
    pub terminal: Option<Terminal>,
}

/// The system refused redlock something that it cannot do without.
#[derive(Debug)]
pub struct Trouble {
    /// What was refused.
    pub what: &'static str,
    /// In the system's words.
    pub error: io::Error,
}

/// Runs `job` to its end; `tell` hears what people may want to know.
///
/// # Errors
/// When the system refuses a timer, a descriptor or randomness. The guardian then ends the command.
pub async fn run(job: Job, tell: &mut dyn FnMut(Notice)) -> Result<Outcome, Trouble> {
    let mut dice = dice()?;
    let signals = Signals::listen().map_err(trouble("a descriptor for signals"))?;
    let mut session = Session::new(job.terms, clock::now());
    let mut shell = Shell {
        alarm: Alarm::new().map_err(trouble("a timer"))?,
        listener: Some(job.ward.listen().map_err(trouble("a socket"))?),
        cluster: Cluster::new(&job.endpoints, job.conduct),
        signals,
        apart_at: clock::now().plus(ALONE),
        claim: job.claim,
        value: String::new(),
        slot: 0,
        slots: job.terms.slots,
        variables: job.variables,
        hook: Hook::new(job.on_lost),
        hidden: job.hidden,
        ward: job.ward,
        seat: Seat::new(job.terminal),
        kill_at: Time::NEVER,
        untouchable: None,
        next: VecDeque::from([Event::Woke]),
        tell,
    };
    loop {
        let event = match shell.next.pop_front() {
            Some(event) => event,
            None => shell.wait(&session).await?,
        };
        let now = clock::now();
        if now >= shell.apart_at {
            shell.apart_at = Time::NEVER;
            shell.signals.hear_interrupts_apart();
        }
        if now >= shell.kill_at {
            shell.kill(now);
        }
        let mut actions = session.handle(now, dice.next_u32(), event);
        deeds_first(&mut actions);
        for action in actions {
            if let Action::End(outcome) = action {
                // Its copy of the socket would hide from the guardian that this one is closed.
                drop(shell.listener);
                shell.ward.see_off();
                shell.hook.finish();
                // The kernel has what was to be said, and takes all of this down at once.
                std::mem::forget((shell.cluster, shell.alarm, shell.signals));
                return Ok(outcome);
            }
            shell.act(now, action)?;
        }
    }
}

/// How long this loop alone hears SIGINT. What has not ended by then gets a thread for it, which costs what ten requests do,
/// and helps where the loop hangs.
const ALONE: Duration = Duration::from_millis(100);

/// How long whoever was killed may take to die, and whoever may not be killed to end, before we look again.
const DYING: Duration = Duration::from_millis(2);
const UNTOUCHABLE: Duration = Duration::from_millis(100);

/// Dice that the system has shaken.
pub(super) fn dice() -> Result<SmallRng, Trouble> {
    SmallRng::try_from_rng(&mut SysRng).map_err(|error| trouble("randomness")(io::Error::other(error)))
}

pub(super) fn trouble(what: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble { what, error }
}

struct Shell<'a> {
    alarm: Alarm,
    /// `None` when the guardian is gone.
    listener: Option<Listener>,
    cluster: Cluster,
    signals: Signals,
    /// When SIGINT gets its thread.
    apart_at: Time,
    claim: Claim,
    /// The value and the slot of the current attempt.
    value: String,
    slot: u32,
    slots: u32,
    variables: Vec<(String, String)>,
    hook: Hook,
    hidden: Vec<String>,
    ward: Ward,
    seat: Seat,
    /// When to kill again what a dead guardian left.
    kill_at: Time,
    /// One of those that may not be killed by us, as was told.
    untouchable: Option<Pid>,
    /// What an action brought about.
    next: VecDeque<Event>,
    tell: &'a mut dyn FnMut(Notice),
}

impl Shell<'_> {
    /// Waits for whatever happens first.
    async fn wait(&mut self, session: &Session) -> Result<Event, Trouble> {
        loop {
            let report = async {
                match &mut self.listener {
                    Some(listener) => listener.next().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                Some(signal) = self.signals.next() => Some(Event::Signal(signal)),
                report = report => self.hear(report),
                heard = self.cluster.heard() => Some(Event::Heard(heard)),
                result = self.alarm.wait_until(session.wake_at().min(self.apart_at).min(self.kill_at)) => {
                    result.map_err(trouble("a timer"))?;
                    Some(Event::Woke)
                }
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// What a report means for the command; nothing, where it is of another process.
    fn hear(&mut self, report: Option<Report>) -> Option<Event> {
        let child = match report {
            Some(Report::Started(pid)) => {
                self.seat.begin(pid);
                Child::Started
            }
            Some(Report::NotStarted(errno)) => Child::NotStarted(SpawnError::of(errno)),
            Some(Report::TooLate) => Child::TooLate,
            Some(Report::Stopped(pid, signal)) if self.seat.is_of(pid) => Child::Stopped(signal),
            Some(Report::Ended(pid, end, at)) if self.seat.is_of(pid) => {
                self.seat.end(end);
                Child::Ended { end, at }
            }
            Some(Report::Stopped(..) | Report::Ended(..)) => return None,
            Some(Report::Expired) => Child::Expired,
            Some(Report::Gone) => Child::Gone,
            Some(Report::Untouchable(pid)) => {
                (self.tell)(Notice::Untouchable { pid });
                return None;
            }
            None => {
                self.listener = None;
                Child::Orphaned
            }
        };
        Some(Event::Child(child))
    }

    fn act(&mut self, now: Time, action: Action) -> Result<(), Trouble> {
        match action {
            Action::Acquire(attempt, slot) => {
                let mut bytes = [0; Token::LEN];
                SysRng.try_fill_bytes(&mut bytes).map_err(|error| trouble("randomness")(io::Error::other(error)))?;
                self.claim.token = Token::new(bytes).hex();
                self.claim.since = clock::since_1970().as_secs();
                self.value = self.claim.to_line();
                self.slot = slot;
                self.cluster.ask_all(now, &Ask::Acquire { attempt, slot, value: self.value.clone() });
            }
            Action::Extend(missing, instances) => {
                for instance in instances {
                    let ask = Ask::Extend { missing, slot: self.slot, value: self.value.clone() };
                    self.cluster.ask(instance, now, ask);
                }
            }
            Action::Release(attempt, parting) => {
                let (slot, value) = (self.slot, self.value.clone());
                self.cluster.ask_all(now, &Ask::Release { attempt, slot, value, parting });
                if matches!(parting, Parting::Leave { .. }) {
                    // Others wait for this, and for nothing else that there is to do.
                    self.cluster.flush();
                }
            }
            Action::Watch { instances, waited } => {
                let arrival = waited.map(|waited| Arrival { wall: clock::since_1970(), waited });
                for instance in instances {
                    self.cluster.ask(instance, now, Ask::Watch(arrival));
                }
            }
            Action::Start { stop_at, kill_at } => {
                if self.slots > 1 {
                    let slot = ("REDLOCK_SLOT".to_owned(), self.slot.saturating_add(1).to_string());
                    self.ward.start(0, vec![slot], stop_at, kill_at);
                } else {
                    self.ward.open(stop_at, kill_at);
                }
            }
            Action::Guard(kill_at) => self.ward.guard(kill_at),
            Action::Pass(signal) => self.seat.pass(&self.ward, signal),
            Action::Stop(signal) => self.ward.signal(signal, true),
            Action::Kill => self.kill(now),
            Action::Await => self.ward.wait_for_tree(),
            // The loss is told in any case, and a run must not end for the want of a process.
            Action::Alarm => drop(self.hook.start(&self.variables, &self.hidden)),
            Action::Suspend => {
                if self.seat.suspend() {
                    self.next.push_back(Event::Child(Child::Resumed));
                }
            }
            Action::Resume => self.seat.resume(&self.ward),
            Action::Dismiss => self.ward.dismiss(),
            Action::Tell(notice) => (self.tell)(notice),
            // The loop ends with it.
            Action::End(_) => {}
        }
        Ok(())
    }

    /// Has the tree killed by the guardian; without one, everything that it watched over has come to us. The lock is kept for
    /// as long as anybody of that is left.
    fn kill(&mut self, now: Time) {
        if self.listener.is_some() {
            return self.ward.kill();
        }
        self.kill_at = match descendants::end() {
            None => {
                self.next.push_back(Event::Child(Child::Gone));
                Time::NEVER
            }
            Some(Left::Dying) => now.plus(DYING),
            Some(Left::Untouchable(pid)) => {
                if self.untouchable.replace(pid) != Some(pid) {
                    (self.tell)(Notice::Untouchable { pid: pid.as_raw() });
                }
                now.plus(UNTOUCHABLE)
            }
        };
    }
}
