//! The session, event by event and in generated histories, with a model of its world.

use super::*;
use crate::lock::{
    Difference, Extension, IfMissing, LockStatus, LockValue, NoVoteReason, ObservedHolder, Release,
    RestartGuard, Revocation, Schedule, ServerName, ServerReport, StatusResponse, Ttl, Vote,
};
use crate::policy::{Fault, MinHoldOn, OnLost, ProgressStyle, SpawnError, WaitLimit, Weakness};
use proptest::prelude::*;

const N: usize = 5;

/// The configuration of this host.
fn agreement(slots: u32) -> Agreement {
    let servers =
        (0..N).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    Agreement::new("deploy@web1", slots, servers, RestartGuard::Off, ms(150))
}

/// Three granted votes. The other instances time out.
fn a_quorum() -> [Vote; N] {
    let silent = || Vote::Unknown(NoVoteReason::TimedOut);
    [Vote::Granted, Vote::Granted, Vote::Granted, silent(), silent()]
}

/// The world of a session: a clock, and a command that obeys signals.
struct World {
    session: Session,
    now: Time,
    attempt: u32,
    starts: u32,
    releases: u32,
    released: u32,
    command: CommandState,
    stops: u32,
    kills: u32,
    outcome: Option<Outcome>,
    /// Number of events, to end a test whose awaited state never comes.
    events: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CommandState {
    None,
    Asked,
    Running,
    Over,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    fn new(wait_limit: WaitLimit) -> Self {
        Self::with(RunOptions { wait_limit, ..Self::options() })
    }

    fn options() -> RunOptions {
        RunOptions::for_test(N)
    }

    fn with(options: RunOptions) -> Self {
        let now = Time::from_nanos(1_000_000_000);
        let mut world = Self {
            session: Session::new(options, agreement(options.slots), now),
            now,
            attempt: 0,
            starts: 0,
            releases: 0,
            released: 0,
            command: CommandState::None,
            stops: 0,
            kills: 0,
            outcome: None,
            events: 0,
        };
        world.event(Event::Woke);
        world
    }

    /// Passes an event to the session and checks the order of all actions so far.
    fn event(&mut self, event: Event) -> Vec<Action> {
        self.events += 1;
        assert!(self.events < 2_000, "the awaited state does not come");
        let mut actions = self.session.handle(self.now, 1 << 31, event);
        // Most tests do not send all votes.
        actions.retain(|action| !matches!(action, Action::Notify(Notice::Weaknesses(_))));
        for action in &actions {
            match action {
                Action::Acquire(attempt, _) => {
                    assert_eq!(*attempt, self.attempt + 1, "each attempt is a new one");
                    self.attempt = *attempt;
                }
                Action::Start { stop_at, kill_at } => {
                    assert!(self.now < *stop_at && stop_at <= kill_at);
                    assert_eq!(self.command, CommandState::None, "at most one spawn");
                    self.command = CommandState::Asked;
                    self.starts += 1;
                }
                Action::Release(number, after_release) => {
                    let is_last = matches!(after_release, AfterRelease::LeaveQueue { .. });
                    assert_eq!(
                        *number,
                        self.attempt + u32::from(is_last),
                        "each release has its own number"
                    );
                    self.released = *number;
                    assert!(
                        matches!(self.command, CommandState::None | CommandState::Over),
                        "no release while the command may run"
                    );
                    self.releases += 1;
                }
                Action::Stop(_) => self.stops += 1,
                Action::Kill => self.kills += 1,
                Action::End(outcome) => {
                    assert!(self.outcome.is_none(), "a run ends once");
                    self.outcome = Some(outcome.clone());
                }
                _ => {}
            }
        }
        actions
    }

    fn after(&mut self, wait: Duration) -> Vec<Action> {
        self.now = self.now.plus(wait);
        self.event(Event::Woke)
    }

    fn respond(&mut self, instance: usize, response: Response) -> Vec<Action> {
        self.event(Event::Response(InstanceResponse {
            instance,
            sent: self.now,
            report: None,
            clock: None,
            response,
        }))
    }

    fn vote(&mut self, votes: &[Vote]) {
        for (instance, vote) in votes.iter().enumerate() {
            self.respond(instance, Response::Vote(self.attempt, vote.clone()));
        }
    }

    fn extend(&mut self, responses: &[Extension]) {
        for (instance, response) in responses.iter().enumerate() {
            self.respond(instance, Response::Extension(response.clone()));
        }
    }

    /// Every instance responds with this holder, a TTL left of 9 s, and this place.
    fn status(&mut self, value: &str, place: u32) -> Vec<Action> {
        let holder = ObservedHolder { value: value.into(), left: Some(ms(9_000)) };
        let status = LockStatus { free: vec![], holder: Some(holder), place: Some(place) };
        let responses = (0..N).flat_map(|instance| {
            self.respond(instance, Response::Status(StatusResponse::Seen(status.clone())))
        });
        responses.collect()
    }

    fn released(&mut self) {
        for instance in 0..N {
            self.respond(instance, Response::Release(self.released, Release::Done(None)));
        }
    }

    fn child(&mut self, child: ChildEvent) -> Vec<Action> {
        match child {
            ChildEvent::Started => self.command = CommandState::Running,
            ChildEvent::NotStarted(_) | ChildEvent::Ended { .. } | ChildEvent::Gone => {
                self.command = CommandState::Over;
            }
            ChildEvent::TooLate => self.command = CommandState::None,
            _ => {}
        }
        self.event(Event::Child(child))
    }

    fn ended(&mut self, code: u8) {
        let at = self.now;
        self.child(ChildEvent::Ended { end: End::Exited(code), at });
    }

    fn running() -> Self {
        Self::running_with(Self::options())
    }

    fn running_with(options: RunOptions) -> Self {
        let mut world = Self::with(options);
        world.vote(&a_quorum());
        world.child(ChildEvent::Started);
        assert_eq!((world.starts, world.command), (1, CommandState::Running));
        world
    }
}

#[test]
fn a_holder_that_disagrees_is_reported_once_while_the_command_runs() {
    let mut world = World::running();
    world.after(ms(1_000));
    let servers = [ServerName::tcp("lock-0", 6379, 0), ServerName::tcp("lock-9", 6379, 0)];
    let value = LockValue::example("web2", &servers).to_line();
    let mut reports = 0;
    for _ in 0..2 {
        let actions = world.respond(4, Response::Extension(Extension::Foreign));
        for action in actions {
            if let Action::AskStatus { instances, waited: None } = action {
                assert_eq!(instances, [4]);
                for action in world.status(&value, 0) {
                    reports += u32::from(matches!(action, Action::Notify(Notice::HeldBeside(..))));
                }
            }
        }
    }
    assert_eq!((reports, world.command), (1, CommandState::Running));
}

/// A running command whose lock instance 4 denies late, after the second poll of instance 4.
fn denied_late(on_lost: OnLost) -> World {
    let mut world = World::with(RunOptions { on_lost, ..World::options() });
    for instance in 0..3 {
        world.respond(instance, Response::Vote(world.attempt, Vote::Granted));
    }
    world.after(Acquisition::stragglers(Duration::ZERO));
    world.child(ChildEvent::Started);
    assert_eq!(world.command, CommandState::Running);
    let actions = world.respond(4, Response::Vote(world.attempt, Vote::Denied));
    assert_eq!(polled(&actions), [[4]]);
    assert_eq!(polled(&world.holder_on(4, Some(3))), [[0; 0]; 0], "the second poll comes later");
    assert_eq!(polled(&world.after(ms(300))), [[4]], "two op-timeouts later");
    world
}

fn polled(actions: &[Action]) -> Vec<&[usize]> {
    let polls = actions.iter().filter_map(|action| match action {
        Action::AskStatus { instances, waited: None } => Some(instances.as_slice()),
        _ => None,
    });
    polls.collect()
}

impl World {
    /// The instance reports the holder of a host that names this number of servers.
    fn holder_on(&mut self, instance: usize, servers: Option<usize>) -> Vec<Action> {
        let holder = servers.map(|count| {
            let servers: Vec<_> =
                (0..count).map(|i| ServerName::tcp(&format!("lock-{i}"), 6379, 0)).collect();
            let value = LockValue::example("web2", &servers).to_line();
            ObservedHolder { value, left: Some(ms(9_000)) }
        });
        let status = LockStatus { free: vec![], holder, place: None };
        self.respond(instance, Response::Status(StatusResponse::Seen(status)))
    }
}

#[test]
fn a_run_that_an_instance_denied_late_gives_way_to_a_holder_that_disagrees() {
    let mut world = denied_late(OnLost::Stop);
    let actions = world.holder_on(4, Some(3));
    assert!(actions.contains(&Action::Notify(Notice::GivingWay { instance: 4 })), "{actions:?}");
    assert_eq!(world.stops, 1);
    world.ended(0);
    world.child(ChildEvent::Gone);
    world.released();
    assert!(
        matches!(world.outcome, Some(Outcome::Disagreed(_, Difference::Count(3)))),
        "{:?}",
        world.outcome
    );
}

#[test]
fn a_run_that_an_instance_denied_late_goes_on_beside_a_holder_that_agrees_or_is_gone() {
    for servers in [None, Some(N)] {
        let mut world = denied_late(OnLost::Stop);
        world.holder_on(4, servers);
        assert_eq!(polled(&world.after(ms(300))), [[0; 0]; 0], "{servers:?}: no third poll");
        assert_eq!((world.stops, world.command), (0, CommandState::Running), "{servers:?}");
    }
}

#[test]
fn an_instance_that_denied_late_and_disagreed_is_polled_until_it_answers() {
    let mut world = denied_late(OnLost::Stop);
    world.extend(&[Extension::Kept, Extension::Kept, Extension::Kept]);
    for _ in 0..2 {
        assert_eq!(polled(&world.after(ms(150))), [[4]]);
    }
    world.holder_on(4, Some(3));
    assert_eq!(world.stops, 1);
}

#[test]
fn with_on_lost_warn_a_holder_that_disagrees_is_reported_and_the_command_goes_on() {
    let mut world = denied_late(OnLost::Warn);
    let actions = world.holder_on(4, Some(3));
    let is_report = |action: &Action| matches!(action, Action::Notify(Notice::HeldBeside(..)));
    assert_eq!(actions.iter().filter(|action| is_report(action)).count(), 1, "{actions:?}");
    assert_eq!((world.stops, world.command), (0, CommandState::Running));
}

#[test]
fn a_run_ends_with_the_exit_code_of_its_command() {
    let mut world = World::running();
    world.ended(7);
    assert_eq!(world.releases, 1);
    assert_eq!(world.outcome, None, "not before the release");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(7))));
}

#[test]
fn without_responses_the_command_runs_to_the_stop_line_and_is_dead_before_the_deadline() {
    let mut world = World::running();
    let granted = world.now;
    let deadline = granted.plus(ms(3_000 - 32));
    while world.stops == 0 {
        let wake = world.session.wake_at();
        assert!(wake < deadline);
        world.now = world.now.max(wake);
        world.event(Event::Woke);
    }
    assert_eq!(world.now, deadline.minus(ms(750)), "TERM comes kill-after before the deadline");
    while world.kills == 0 {
        world.now = world.now.max(world.session.wake_at());
        world.event(Event::Woke);
    }
    assert_eq!(world.now, deadline.minus(ms(150)), "KILL comes the margin before the deadline");
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_revoked_lock_stops_the_command_and_names_the_operator() {
    let mut world = World::running();
    world.after(ms(1_000));
    let by = Revocation::new("ops@web2", Some("it hangs"), 1);
    world.extend(&[Extension::Revoked(by.clone())]);
    assert_eq!(world.stops, 1);
    world.ended(0);
    assert_eq!((world.kills, world.releases), (1, 0), "descendants are killed before the release");
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::Revoked(by))));
}

#[test]
fn fewer_members_than_a_quorum_stop_the_command_at_once() {
    let mut world = World::running();
    world.after(ms(1_000));
    world.extend(&[Extension::Foreign]);
    assert_eq!(world.stops, 1);
    world.ended(0);
    assert_eq!((world.kills, world.releases), (1, 0), "descendants are killed before the release");
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::KeysGone)));
}

#[test]
fn a_confirmed_extension_moves_the_kill_deadline_of_the_guardian() {
    let mut world = World::running();
    let actions = world.after(ms(1_000));
    assert_eq!(actions, [Action::Extend(IfMissing::Leave, (0..N).collect())]);
    let sent = world.now;
    world.extend(&[Extension::Kept, Extension::Kept]);
    let actions = world.respond(2, Response::Extension(Extension::Kept));
    let extended = Notice::Extended { count: 1, left: ms(3_000 - 32), every: ms(1_000) };
    let moved = Action::SetKillDeadline(sent.plus(ms(3_000 - 32 - 150)));
    assert_eq!(actions, [moved, Action::Notify(extended)]);
}

#[test]
fn a_round_without_a_quorum_is_retried_on_the_instances_that_did_not_confirm() {
    let mut world = World::running();
    world.after(ms(1_000));
    world.extend(&[Extension::Kept, Extension::Unknown(NoVoteReason::TimedOut)]);
    let actions = world.after(ms(150));
    assert_eq!(actions, [Action::Extend(IfMissing::Leave, vec![1, 2, 3, 4])]);
}

#[test]
fn a_redlock_that_was_frozen_kills_before_any_other_action() {
    let mut world = World::running();
    let actions = world.after(ms(10_000));
    assert!(actions.contains(&Action::Kill), "{actions:?}");
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Stop(_) | Action::Extend(..))),
        "{actions:?}"
    );
}

#[test]
fn a_command_that_ended_in_time_is_not_lost_if_redlock_was_frozen() {
    let mut world = World::running();
    let at = world.now.plus(ms(100));
    world.now = world.now.plus(ms(10_000));
    world.child(ChildEvent::Ended { end: End::Exited(0), at });
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(0))));
}

#[test]
fn a_command_that_the_guardian_killed_is_lost() {
    let mut world = World::running();
    world.child(ChildEvent::Expired);
    world.ended(0);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_command_that_reaches_max_runtime_is_stopped_under_the_lock() {
    let mut world =
        World::running_with(RunOptions { max_runtime: Some(ms(500)), ..World::options() });
    let begun = world.now;
    for instance in 3..N {
        world.respond(instance, Response::Vote(world.attempt, Vote::Granted));
    }
    assert_eq!(world.session.wake_at(), begun.plus(ms(500)));
    world.after(ms(500));
    assert_eq!((world.stops, world.kills), (1, 0));
    assert_eq!(world.session.wake_at(), begun.plus(ms(1_000)), "the lock is extended meanwhile");
    world.after(ms(749));
    assert_eq!(world.kills, 0);
    world.after(ms(1));
    assert_eq!(world.kills, 1);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Overtime));
}

#[test]
fn the_kill_deadline_of_the_guardian_includes_max_runtime() {
    let mut world = World::with(RunOptions { max_runtime: Some(ms(500)), ..World::options() });
    world.vote(&a_quorum());
    let queue = world.now.plus(ms(500 + 750));
    let started = Action::Notify(Notice::CommandStarted);
    assert_eq!(world.child(ChildEvent::Started), [Action::SetKillDeadline(queue), started]);
    world.child(ChildEvent::Expired);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Overtime));
}

#[test]
fn an_explicit_kill_after_applies_to_a_signal_of_the_user() {
    for (escalates, kills) in [(false, 0), (true, 1)] {
        let mut world = World::running_with(RunOptions { escalates, ..World::options() });
        assert_eq!(world.event(Event::Signal(Signal::USR1)), [Action::ForwardSignal(Signal::USR1)]);
        world.after(ms(100));
        assert_eq!(world.event(Event::Signal(Signal::TERM)), [Action::ForwardSignal(Signal::TERM)]);
        world.after(ms(749));
        assert_eq!(world.kills, 0);
        world.after(ms(1));
        assert_eq!(world.kills, kills, "{escalates}");
    }
}

#[test]
fn on_lost_warn_leaves_the_command_running() {
    let mut world = World::running_with(RunOptions { on_lost: OnLost::Warn, ..World::options() });
    let actions = world.after(ms(2_900));
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Notify(Notice::Lost(_)))),
        "{actions:?}"
    );
    let actions = world.after(ms(100));
    assert!(actions.contains(&Action::Notify(Notice::Lost(LossCause::NoQuorum))), "{actions:?}");
    assert!(world.session.wake_at() > world.now, "a handled loss sets no timer");
    world.after(ms(10_000));
    assert_eq!((world.stops, world.kills), (0, 0));
    world.ended(0);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn max_runtime_stops_a_command_after_a_loss_with_on_lost_warn() {
    let options =
        RunOptions { on_lost: OnLost::Warn, max_runtime: Some(ms(5_000)), ..World::options() };
    let mut world = World::running_with(options);
    world.after(ms(3_000));
    world.after(ms(2_000));
    assert_eq!((world.stops, world.kills), (1, 0), "the command has kill-after to stop");
    world.after(ms(750));
    assert_eq!((world.stops, world.kills), (1, 1));
}

#[test]
fn a_loss_with_on_lost_warn_while_descendants_run_is_the_outcome() {
    let options =
        RunOptions { on_lost: OnLost::Warn, awaits_descendants: true, ..World::options() };
    let mut world = World::running_with(options);
    world.ended(0);
    world.after(ms(3_000));
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn the_lock_is_held_while_descendants_are_awaited() {
    let mut world =
        World::running_with(RunOptions { awaits_descendants: true, ..World::options() });
    let at = world.now;
    let actions = world.event(Event::Child(ChildEvent::Ended { end: End::Exited(3), at }));
    let ended = Action::Notify(Notice::CommandEnded(End::Exited(3)));
    assert_eq!(actions, [Action::AwaitDescendants, ended]);
    assert_eq!(world.after(ms(1_000)), [Action::Extend(IfMissing::Leave, (0..N).collect())]);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(3))));
}

#[test]
fn a_command_without_its_guardian_is_killed() {
    let mut world = World::running();
    world.child(ChildEvent::Orphaned);
    assert_eq!(world.kills, 1);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::GuardianLost)));
}

#[test]
fn a_kill_is_ordered_again_if_the_guardian_dies_during_the_first() {
    let mut world = World::running();
    let at = world.now.plus(ms(60_000));
    world.now = at;
    world.event(Event::Woke);
    assert_eq!(world.kills, 1, "the lock has expired");
    world.child(ChildEvent::Orphaned);
    assert_eq!(world.kills, 2);
    world.child(ChildEvent::Gone);
    world.released();
    assert!(matches!(world.outcome, Some(Outcome::Lost(_))), "{:?}", world.outcome);
}

#[test]
fn without_a_guardian_no_command_is_started() {
    let mut world = World::new(WaitLimit::Forever);
    world.child(ChildEvent::Orphaned);
    world.vote(&a_quorum());
    assert_eq!((world.starts, world.releases), (0, 1));
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::GuardianLost)));
}

#[test]
fn a_run_without_the_lock_dismisses_the_guardian_first() {
    let mut world = World::new(WaitLimit::Once);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let mut last = Vec::new();
    for instance in 0..N {
        last = world.respond(instance, Response::Release(world.released, Release::Done(None)));
    }
    assert_eq!(last, [Action::Dismiss, Action::End(Outcome::Busy(None))]);
}

/// A run in the queue of a lock that this value holds, with a TTL left of 9 s.
fn queued(wait_limit: WaitLimit, value: &str) -> World {
    let mut world = World::new(wait_limit);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    world.status(value, 3);
    world
}

#[test]
fn a_contender_that_leaves_the_queue_releases_on_all_instances() {
    let leave = Action::Release(2, AfterRelease::LeaveQueue { hold_for: Duration::ZERO });
    let mut world = queued(WaitLimit::Forever, "x");
    let actions = world.event(Event::Signal(Signal::INT));
    assert!(actions.contains(&leave), "{actions:?}");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Interrupted(Signal::INT)));

    let mut world = queued(WaitLimit::Until(Time::from_nanos(1_200_000_000)), "x");
    world.after(ms(200));
    assert_eq!(world.attempt, 2, "one last attempt");
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    assert_eq!(
        (world.releases, &world.outcome),
        (3, &None),
        "one release for each attempt, and one at the end"
    );
    world.released();
    assert!(matches!(world.outcome, Some(Outcome::Busy(_))), "{:?}", world.outcome);
}

#[test]
fn a_late_response_to_the_release_of_an_attempt_does_not_end_a_run() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let attempt = world.released;
    world.event(Event::Signal(Signal::TERM));
    for instance in 0..N {
        world.respond(instance, Response::Release(attempt, Release::Done(None)));
    }
    assert_eq!(world.outcome, None, "the release at the end has no response yet");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Interrupted(Signal::TERM)));
}

#[test]
fn a_wait_is_reported_again_after_a_change_and_every_second_if_live() {
    for (progress, expected) in [(ProgressStyle::News, 1), (ProgressStyle::Live, 35)] {
        let options = RunOptions { progress, ..World::options() };
        let mut world = World::with(options);
        let mut reports = 0;
        world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        world.released();
        world.status("x", 3);
        let mut place = 3;
        while world.now < Time::from_nanos(36_100_000_000) {
            world.now = world.now.max(world.session.wake_at());
            for action in world.event(Event::Woke) {
                match action {
                    Action::Notify(Notice::Waiting { .. }) => reports += 1,
                    Action::AskStatus { .. } => {
                        world.status("x", place);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(reports, expected, "{progress:?}");
        // Contenders ahead have left the queue.
        place = 1;
        world.status("x", place);
        let actions = world.after(WaitProgress::NEWS_EVERY);
        let is_reported = actions
            .iter()
            .any(|a| matches!(a, Action::Notify(Notice::Waiting { place: Some(1), .. })));
        assert!(is_reported, "{progress:?}: {actions:?}");
        let actions = world.event(Event::Signal(Signal::TERM));
        assert!(
            actions.contains(&Action::Notify(Notice::Waited)),
            "the end of the wait is reported: {actions:?}"
        );
    }
}

#[test]
fn min_hold_and_cooldown_keep_the_lock_after_the_command() {
    for (label, min_hold, cooldown, ran, keep) in [
        ("neither option", 0, 0, 100, 0),
        ("min-hold, early end", 900, 0, 100, 800),
        ("min-hold, late end", 900, 0, 950, 0),
        ("cooldown", 0, 300, 100, 300),
        ("both options: the longer one", 900, 300, 100, 800),
    ] {
        let options =
            RunOptions { min_hold: ms(min_hold), cooldown: ms(cooldown), ..World::options() };
        let mut world = World::with(options);
        world.vote(&a_quorum());
        world.child(ChildEvent::Started);
        world.now = world.now.plus(ms(ran));
        let actions = world.child(ChildEvent::Ended { end: End::Exited(3), at: world.now });
        let release = Action::Release(2, AfterRelease::LeaveQueue { hold_for: ms(keep) });
        assert!(actions.contains(&release), "{label}: {actions:?}");
    }
}

#[test]
fn min_hold_on_success_keeps_the_lock_only_after_exit_code_0() {
    for (min_hold_on, code, keep) in [
        (MinHoldOn::Always, 0, 800),
        (MinHoldOn::Always, 3, 800),
        (MinHoldOn::Success, 0, 800),
        (MinHoldOn::Success, 3, 0),
    ] {
        let options = RunOptions { min_hold: ms(900), min_hold_on, ..World::options() };
        let mut world = World::running_with(options);
        world.now = world.now.plus(ms(100));
        let ended = ChildEvent::Ended { end: End::Exited(code), at: world.now };
        let actions = world.child(ended);
        let release = Action::Release(2, AfterRelease::LeaveQueue { hold_for: ms(keep) });
        assert!(actions.contains(&release), "{min_hold_on:?}, {code}: {actions:?}");
    }
}

#[test]
fn max_runtime_is_a_failure_after_which_the_lock_is_kept() {
    for (min_hold_on, keep) in [(MinHoldOn::Always, 400), (MinHoldOn::Success, 300)] {
        let options = RunOptions {
            max_runtime: Some(ms(500)),
            min_hold: ms(900),
            cooldown: ms(300),
            min_hold_on,
            ..World::options()
        };
        let mut world = World::running_with(options);
        world.after(ms(500));
        world.ended(0);
        let actions = world.child(ChildEvent::Gone);
        let release = Action::Release(2, AfterRelease::LeaveQueue { hold_for: ms(keep) });
        assert!(actions.contains(&release), "{min_hold_on:?}: {actions:?}");
        world.released();
        assert_eq!(world.outcome, Some(Outcome::Overtime), "{min_hold_on:?}");
    }
}

#[test]
fn the_held_lock_is_shown_from_the_acquisition_to_the_release() {
    let members = |world: &World| world.session.held_lock().map(HeldLock::members);
    let mut world = World::new(WaitLimit::Forever);
    assert_eq!(members(&world), None);
    world.vote(&a_quorum());
    assert_eq!(members(&world), Some(3));
    world.child(ChildEvent::Started);
    assert_eq!(members(&world), Some(3));
    world.ended(0);
    assert_eq!(members(&world), None, "the release is sent");
}

#[test]
fn a_vote_after_the_acquisition_tells_whether_its_instance_is_a_weakness() {
    let unreachable = || NoVoteReason::Unreachable("connection refused".into());
    let untold = || NoVoteReason::Transient("INFO: no such command".into());
    let failed = || Vote::Unknown(unreachable());
    for (label, attempt, account, vote, expected) in [
        ("granted", 1, None, Vote::Granted, None),
        ("denied", 1, None, Vote::Denied, None),
        ("failed", 1, None, failed(), Some(unreachable())),
        ("no account", 1, Some(Account::Untold(untold())), Vote::Granted, Some(untold())),
        ("no right to it", 1, Some(Account::NotPermitted), Vote::Granted, None),
        ("of another attempt", 0, None, failed(), Some(NoVoteReason::TimedOut)),
    ] {
        let mut world = World::new(WaitLimit::Forever);
        world.vote(&[Vote::Granted, Vote::Granted, Vote::Granted, Vote::Granted]);
        world.after(Acquisition::stragglers(Duration::ZERO));
        assert_eq!(world.starts, 1, "{label}");
        let late = InstanceResponse {
            instance: 4,
            sent: world.now,
            report: account.map(|account| ServerReport { account: Some(account), marking: None }),
            clock: None,
            response: Response::Vote(attempt, vote),
        };
        // `World::event` leaves out the notice.
        let mut actions = world.session.handle(world.now, 0, Event::Response(late));
        actions.extend(world.session.handle(world.now.plus(ms(150)), 0, Event::Woke));
        let notices = actions.into_iter().filter_map(|action| match action {
            Action::Notify(Notice::Weaknesses(weaknesses)) => Some(weaknesses),
            _ => None,
        });
        let expected = expected.map(|reason| vec![Weakness::NoVote(4, reason)]);
        assert_eq!(notices.collect::<Vec<_>>(), Vec::from_iter(expected), "{label}");
    }
}

#[test]
fn the_delay_precedes_the_first_attempt_and_a_signal_ends_both() {
    let options = RunOptions { delay: ms(700), ..World::options() };
    let mut world = World::with(options);
    assert_eq!((world.attempt, world.session.wake_at()), (0, world.now.plus(ms(700))));
    world.after(ms(700));
    assert_eq!(world.attempt, 1);
    let mut world = World::with(options);
    world.event(Event::Signal(Signal::INT));
    world.released();
    assert_eq!((world.attempt, world.outcome), (0, Some(Outcome::Interrupted(Signal::INT))));
}

/// The reaction to one signal and to further ones: forwarded, none, or the end of the wait.
#[test]
fn every_signal_has_its_reaction_in_every_phase() {
    let all = [
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::WINCH,
    ];
    for signal in all {
        let ends = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal);
        let mut waiting = queued(WaitLimit::Forever, "x");
        for again in [false, true] {
            let actions = waiting.event(Event::Signal(signal));
            let leaves = actions.iter().any(|action| matches!(action, Action::Release(..)));
            assert_eq!(
                leaves,
                ends && !again,
                "{signal} while waiting, again: {again}: {actions:?}"
            );
            assert!(!actions.contains(&Action::ForwardSignal(signal)), "there is no command");
        }

        let mut running = World::new(WaitLimit::Forever);
        running.vote(&a_quorum());
        running.child(ChildEvent::Started);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [Action::ForwardSignal(signal)],
                "{signal} while it runs, {time}"
            );
            assert_eq!(
                running.event(Event::Typed(signal)),
                [],
                "{signal} that was typed, {time}: the command received it"
            );
        }
        let actions = running.after(ms(1_000));
        assert!(
            matches!(actions[..], [Action::Extend(..)]),
            "{signal}: the lock is kept: {actions:?}"
        );

        // Fewer members than a quorum are left, so the command is being stopped.
        running.extend(&[Extension::Foreign, Extension::Foreign, Extension::Foreign]);
        assert_eq!(running.stops, 1);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [Action::ForwardSignal(signal)],
                "{signal} while it stops, {time}"
            );
        }
        running.child(ChildEvent::Ended { end: End::Exited(0), at: running.now });
        running.child(ChildEvent::Gone);
        assert_eq!(running.releases, 1);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [],
                "{signal} while it releases, {time}"
            );
        }
        running.released();
        assert_eq!(running.outcome, Some(Outcome::Lost(LossCause::KeysGone)), "{signal}");
    }
}

#[test]
fn a_signal_during_the_wait_releases_and_starts_no_command() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut world = World::new(WaitLimit::Forever);
        world.event(Event::Signal(signal));
        world.vote(&a_quorum());
        assert_eq!((world.starts, world.releases), (0, 1), "{signal}");
        world.released();
        assert_eq!(world.outcome, Some(Outcome::Interrupted(signal)));
    }
}

#[test]
fn a_signal_during_the_start_is_forwarded_after_the_start() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    assert_eq!(world.event(Event::Signal(Signal::TERM)), []);
    let started = Action::Notify(Notice::CommandStarted);
    assert_eq!(world.child(ChildEvent::Started), [Action::ForwardSignal(Signal::TERM), started]);
}

#[test]
fn a_typed_signal_during_the_start_is_not_forwarded_and_ends_a_refused_start() {
    for (child, outcome) in [
        (ChildEvent::Started, None),
        (ChildEvent::TooLate, Some(Outcome::Interrupted(Signal::INT))),
    ] {
        let mut world = World::new(WaitLimit::Forever);
        world.vote(&a_quorum());
        assert_eq!(world.event(Event::Typed(Signal::INT)), []);
        let actions = world.child(child);
        assert!(
            !actions.contains(&Action::ForwardSignal(Signal::INT)),
            "{child:?}: the command received it: {actions:?}"
        );
        world.released();
        assert_eq!(world.outcome, outcome, "{child:?}");
    }
}

#[test]
fn a_refused_start_costs_one_attempt() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    world.child(ChildEvent::TooLate);
    assert_eq!(world.releases, 1);
    world.released();
    world.after(ms(1_000));
    assert_eq!(world.attempt, 2);
}

#[test]
fn a_signal_before_a_refused_start_ends_the_run() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    world.event(Event::Signal(Signal::USR1));
    world.event(Event::Signal(Signal::TERM));
    world.child(ChildEvent::TooLate);
    world.released();
    assert_eq!((world.attempt, world.outcome), (1, Some(Outcome::Interrupted(Signal::TERM))));
}

#[test]
fn a_wait_is_reported_once_after_a_second() {
    let mut world = World::new(WaitLimit::Forever);
    let mut reports = Vec::new();
    while world.now < Time::from_nanos(4_000_000_000) {
        world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        world.released();
        world.now = world.now.max(world.session.wake_at());
        let actions = world.event(Event::Woke);
        if actions.iter().any(|action| matches!(action, Action::Notify(Notice::Waiting { .. }))) {
            reports.push(world.now);
        }
    }
    assert_eq!(reports, [Time::from_nanos(2_000_000_000)]);
}

#[test]
fn a_split_vote_is_retried_even_without_a_wait() {
    let mut world = World::new(WaitLimit::Once);
    world.vote(&[Vote::Granted, Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    world.after(ms(1_000));
    assert_eq!((world.attempt, &world.outcome), (2, &None));
}

#[derive(Clone, Debug)]
enum TestEvent {
    Wait(u64),
    Vote(usize, Vote),
    Extension(usize, Extension),
    Release(usize, Release),
    Signal(Signal),
    ChildEvent(u8),
}

fn any_test_event() -> impl Strategy<Value = TestEvent> {
    let timed_out = || NoVoteReason::TimedOut;
    let vote = prop_oneof![3 => Just(Vote::Granted), 1 => Just(Vote::Denied), 1 => Just(Vote::Unknown(timed_out()))];
    let extension = prop_oneof![
        4 => Just(Extension::Kept),
        1 => Just(Extension::SetAgain),
        1 => Just(Extension::Foreign),
        2 => Just(Extension::Unknown(timed_out())),
    ];
    let release = prop_oneof![2 => Just(Release::Done(None)), 1 => Just(Release::Written), 1 => Just(Release::Unknown(timed_out()))];
    prop_oneof![
        3 => (0_u64..1_500).prop_map(TestEvent::Wait),
        6 => (0..N, vote).prop_map(|(i, v)| TestEvent::Vote(i, v)),
        6 => (0..N, extension).prop_map(|(i, e)| TestEvent::Extension(i, e)),
        3 => (0..N, release).prop_map(|(i, r)| TestEvent::Release(i, r)),
        1 => prop_oneof![Just(Signal::INT), Just(Signal::TERM), Just(Signal::USR1)].prop_map(TestEvent::Signal),
        2 => (0_u8..8).prop_map(TestEvent::ChildEvent),
    ]
}

impl World {
    fn apply(&mut self, event: TestEvent) {
        match event {
            TestEvent::Wait(millis) => drop(self.after(ms(millis))),
            TestEvent::Vote(instance, vote) => {
                drop(self.respond(instance, Response::Vote(self.attempt, vote)));
            }
            TestEvent::Extension(instance, extension) => {
                drop(self.respond(instance, Response::Extension(extension)));
            }
            TestEvent::Release(instance, release) => {
                drop(self.respond(instance, Response::Release(self.released, release)));
            }
            TestEvent::Signal(signal) => drop(self.event(Event::Signal(signal))),
            TestEvent::ChildEvent(which) => self.child_event(which),
        }
    }

    /// An event that is possible in the present state of the command.
    fn child_event(&mut self, which: u8) {
        let end = End::Exited(0);
        match (self.command, which) {
            (CommandState::Asked, 0..=4) => drop(self.child(ChildEvent::Started)),
            (CommandState::Asked, 5) => drop(self.child(ChildEvent::TooLate)),
            (CommandState::Asked, 6) => {
                drop(self.child(ChildEvent::NotStarted(SpawnError::NotFound)));
            }
            (CommandState::Running, 0) => drop(self.child(ChildEvent::Ended { end, at: self.now })),
            (CommandState::Running, 1) => drop(self.child(ChildEvent::Expired)),
            (CommandState::Running, 2) => drop(self.child(ChildEvent::Resumed)),
            (CommandState::Running, 3) => drop(self.child(ChildEvent::Orphaned)),
            (CommandState::Running | CommandState::Over, _)
                if self.kills > 0 && self.outcome.is_none() =>
            {
                drop(self.child(ChildEvent::Gone));
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn every_history_starts_once_releases_after_the_command_and_ends(
        events in prop::collection::vec(any_test_event(), 0..80),
        wait in prop_oneof![Just(WaitLimit::Once), Just(WaitLimit::Forever)],
    ) {
        let mut world = World::new(wait);
        for event in events {
            world.apply(event);
        }
        world.event(Event::Signal(Signal::TERM));
        for _ in 0..40 {
            if world.command == CommandState::Asked {
                world.child(ChildEvent::Started);
            }
            if world.command == CommandState::Running {
                world.ended(0);
            }
            if world.kills > 0 && world.outcome.is_none() {
                world.child(ChildEvent::Gone);
            }
            world.after(ms(400));
        }
        prop_assert!(world.outcome.is_some(), "{:?}", world.session);
    }
}

#[test]
fn a_slow_first_attempt_is_not_reported() {
    let schedule = Schedule::new(Ttl::new(ms(10_000)).unwrap(), None, Some(ms(1_500))).unwrap();
    let mut world = World::with(RunOptions { schedule, ..World::options() });
    assert_eq!(world.after(WaitProgress::SILENCE), [], "no response yet");
    assert_eq!(world.session.wake_at().since(world.now), ms(500), "the op-timeout of the attempt");
}

#[test]
fn a_wait_takes_a_place_in_the_queue_and_a_single_poll_takes_none() {
    for (wait_limit, slots, waited) in
        [(WaitLimit::Forever, 1, Some(ms(70))), (WaitLimit::Once, 2, None)]
    {
        let mut world = World::with(RunOptions { wait_limit, slots, ..World::options() });
        world.after(ms(70));
        world.vote(&[Vote::Denied, Vote::Denied]);
        let actions = world.respond(2, Response::Vote(1, Vote::Denied));
        let status = Action::AskStatus { instances: (0..N).collect(), waited };
        assert_eq!(
            actions,
            [Action::Release(1, AfterRelease::StayQueued), status],
            "{wait_limit:?}"
        );
    }
}

#[test]
fn a_release_without_a_majority_is_reported_if_the_lock_was_held() {
    for (label, done, is_reported) in [("a majority", 3, false), ("a minority", 2, true)] {
        let mut world = World::running();
        world.ended(0);
        let mut actions = Vec::new();
        for instance in 0..N {
            let response = if instance < done {
                Release::Done(None)
            } else {
                Release::Unknown(NoVoteReason::TimedOut)
            };
            actions = world.respond(instance, Response::Release(world.released, response));
        }
        let has_notice = actions
            .iter()
            .any(|action| matches!(action, Action::Notify(Notice::ReleaseIncomplete(_))));
        assert_eq!(has_notice, is_reported, "{label}: {actions:?}");
    }
    let mut world = World::new(WaitLimit::Forever);
    world.event(Event::Signal(Signal::INT));
    let actions = world.after(ms(150));
    assert_eq!(
        actions,
        [Action::End(Outcome::Interrupted(Signal::INT))],
        "a lock that was never held is not reported"
    );
}

#[test]
fn an_extension_gives_a_stopping_command_no_more_time() {
    let mut world =
        World::running_with(RunOptions { max_runtime: Some(ms(900)), ..World::options() });
    let killed_at = world.now.plus(ms(900 + 750));
    world.after(ms(900));
    assert_eq!(world.stops, 1);
    world.after(ms(100));
    world.extend(&[Extension::Kept, Extension::Kept]);
    let actions = world.respond(2, Response::Extension(Extension::Kept));
    assert_eq!(actions.first(), Some(&Action::SetKillDeadline(killed_at)));
}

#[test]
fn a_loss_during_the_start_stops_the_command() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    let actions = world.after(ms(2_968 - 750));
    assert_eq!((world.stops, world.kills), (1, 0));
    assert_eq!(actions[0], Action::RunLostHook);
    world.child(ChildEvent::TooLate);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_loss_during_the_start_with_on_lost_warn_is_reported_once_the_command_runs() {
    let mut world = World::with(RunOptions { on_lost: OnLost::Warn, ..World::options() });
    world.vote(&a_quorum());
    assert!(world.after(ms(1_000)).contains(&Action::Extend(IfMissing::Leave, (0..N).collect())));
    world.now = world.now.plus(ms(2_968));
    while world.session.wake_at() <= world.now {
        assert!(!world.event(Event::Woke).contains(&Action::RunLostHook));
    }
    assert_eq!(
        world.child(ChildEvent::Started),
        [
            Action::RunLostHook,
            Action::Notify(Notice::CommandStarted),
            Action::Notify(Notice::Lost(LossCause::NoQuorum))
        ]
    );
    assert_eq!(world.after(ms(1)), []);
}

#[test]
fn at_the_kill_line_the_command_is_killed_without_a_request_to_stop() {
    for (label, late, stops) in
        [("just before the kill line", 2_817, 1), ("at the kill line", 2_818, 0)]
    {
        let mut world = World::running();
        world.after(ms(late));
        assert_eq!((world.stops, world.kills), (stops, 1 - stops), "{label}");
    }
}

#[test]
fn a_harmless_signal_does_not_end_a_wait() {
    for signal in [Signal::USR1, Signal::USR2, Signal::WINCH, Signal::CONT] {
        let mut world = World::new(WaitLimit::Forever);
        assert_eq!(world.event(Event::Signal(signal)), [], "{signal}");
        world.vote(&a_quorum());
        assert_eq!(world.starts, 1, "{signal}");
    }
}

#[test]
fn a_job_stops_as_a_whole_and_checks_its_deadlines_when_continued() {
    for signal in [Signal::TSTP, Signal::new(21), Signal::new(22)] {
        let mut waiting = queued(WaitLimit::Forever, "x");
        assert_eq!(waiting.event(Event::Typed(signal)), [Action::Suspend(signal)], "while waiting");

        let mut running = World::running();
        assert_eq!(running.event(Event::Typed(signal)), [], "the command may handle it");
        assert_eq!(running.event(Event::Signal(signal)), [Action::ForwardSignal(signal)]);
        assert_eq!(running.child(ChildEvent::Stopped(signal)), [Action::Suspend(signal)]);
        assert_eq!(running.child(ChildEvent::Resumed), [Action::Resume]);

        let mut late = World::running();
        late.child(ChildEvent::Stopped(signal));
        late.now = late.now.plus(ms(5_000));
        late.child(ChildEvent::Resumed);
        assert_eq!((late.stops, late.kills), (0, 1), "the lock has expired");
    }
    let mut running = World::running();
    assert_eq!(
        running.child(ChildEvent::Stopped(Signal::new(19))),
        [],
        "SIGSTOP of the command alone: the lock is kept"
    );
}

#[test]
fn a_command_whose_exit_status_is_unknown_ends_the_run() {
    let mut world = World::running();
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::EndUnseen)));
}

#[test]
fn processes_that_do_not_die_are_reported() {
    let mut world = World::running();
    let actions = world.child(ChildEvent::Unkillable(7));
    assert_eq!(actions, [Action::Notify(Notice::Unkillable { pid: 7 })]);
    assert_eq!(world.child(ChildEvent::Unseen), [Action::Notify(Notice::Unseen)]);
}

#[test]
fn events_of_a_command_that_was_not_started_do_not_end_a_wait() {
    for child in [ChildEvent::TooLate, ChildEvent::Resumed, ChildEvent::Expired, ChildEvent::Gone] {
        let mut world = World::new(WaitLimit::Forever);
        assert_eq!(world.event(Event::Child(child)), [], "{child:?}");
    }
}

#[test]
fn a_command_that_ended_at_the_deadline_or_later_is_lost() {
    let ended = || Outcome::Ended(End::Exited(0));
    for (ended_after, on_lost, kills, outcome) in [
        (2_967, OnLost::Stop, 0, ended()),
        (2_968, OnLost::Stop, 1, Outcome::Lost(LossCause::EndedAfterExpiry)),
        (2_967, OnLost::Warn, 0, ended()),
        (2_968, OnLost::Warn, 0, Outcome::Lost(LossCause::EndedAfterExpiry)),
    ] {
        let mut world = World::running_with(RunOptions { on_lost, ..World::options() });
        let at = world.now.plus(ms(ended_after));
        world.now = world.now.plus(ms(3_000));
        let actions = world.child(ChildEvent::Ended { end: End::Exited(0), at });
        let is_lost = outcome != ended();
        assert_eq!(actions.contains(&Action::RunLostHook), is_lost, "{ended_after}");
        assert_eq!(world.kills, kills, "{ended_after}");
        if kills > 0 {
            world.child(ChildEvent::Gone);
        }
        world.released();
        assert_eq!(world.outcome, Some(outcome), "{ended_after}");
    }
}
