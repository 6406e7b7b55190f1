//! The steps of a trace in words.

use super::mutants::Rule;
use super::server::{self, Fault, Request};
use super::state::{Ballot, Extension, Phase, State};
use super::steps::Step;

/// The step from `before` to `after`, in words.
pub(super) fn told(before: &State, step: Step, after: &State, rule: Rule) -> String {
    let name = |client: usize| if client == 0 { "A" } else { "B" };
    let phases = |client: usize| (before.clients[client].phase, after.clients[client].phase);
    let has_begun = |client: usize| outcome(phases(client), after, rule, client);
    match step {
        Step::Begin { client } => format!(
            "{0} begins attempt {1}: SET to all instances",
            name(client),
            after.clients[client].attempt()
        ),
        Step::Execute { client, instance } => {
            let what = match server::next(before, client, instance) {
                Some(Request::Acquire(attempt)) => format!("SET of attempt {attempt}"),
                Some(Request::Release(attempt)) => format!("release of attempt {attempt}"),
                Some(Request::Extend { sets: true }) => "request to set the key again".into(),
                Some(Request::Extend { sets: false }) | None => "extension".into(),
            };
            format!(
                "instance {instance} executes {}'s {what}: {}",
                name(client),
                key(after, instance)
            )
        }
        Step::Overtake { client, instance } => format!(
            "instance {instance} executes {}'s release, and then the SET: {}",
            name(client),
            key(after, instance)
        ),
        Step::ExecuteAside { client, instance } => format!(
            "instance {instance} executes a request from {}'s old connection: {}",
            name(client),
            key(after, instance)
        ),
        Step::Hear { client, instance } => {
            let connection = &before.instances[instance].connections[client];
            let what = match (connection.ballot, connection.extension) {
                (Ballot::Replied(reply), _) if reply.is_granted => "granted".to_owned(),
                (Ballot::Replied(_), _) => "denied".to_owned(),
                (_, Extension::Replied { answer, .. }) => format!("{answer:?}"),
                _ => String::new(),
            };
            format!("{} hears of instance {instance}: {what}{}", name(client), has_begun(client))
        }
        Step::TimeOut { client } => {
            format!("{}'s time limits pass{}", name(client), has_begun(client))
        }
        Step::Launch { client } => {
            format!("{} wants to start its command{}", name(client), has_begun(client))
        }
        Step::Extend { client } => format!("{} sends a round of extensions", name(client)),
        Step::End { client } => format!("{}'s command has ended: release to all", name(client)),
        Step::Expire { instance } => format!("the key on instance {instance} expires"),
        Step::Tick => {
            let ends = (0..2).map(has_begun).collect::<String>();
            format!("a third of a lease passes{ends}")
        }
        Step::Fault { fault, instance } => format!("{}{instance}", fault_words(fault)),
    }
}

const fn fault_words(fault: Fault) -> &'static str {
    match fault {
        Fault::Delete => "FAULT: the key alone is deleted on instance ",
        Fault::Flush => "FAULT: FLUSHALL on instance ",
        Fault::RestartEmpty => "FAULT: an empty restart of instance ",
        Fault::RestartWithKeys => "FAULT: a restart that keeps the keys of instance ",
        Fault::RestartFromDump => "FAULT: a restart with an old dump of instance ",
        Fault::Break(0) => "FAULT: A's connection breaks to instance ",
        Fault::Break(_) => "FAULT: B's connection breaks to instance ",
        Fault::LoseAside(0) => "the last requests on A's old connection are lost to instance ",
        Fault::LoseAside(_) => "the last requests on B's old connection are lost to instance ",
    }
}

fn key(state: &State, instance: usize) -> String {
    match state.instances[instance].key {
        None => "no key there".into(),
        Some(key) => {
            let owner = if key.value.client == 0 { "A" } else { "B" };
            format!("the key is {owner}'s, of attempt {}", key.value.attempt)
        }
    }
}

/// The change of phase of a client.
fn outcome((before, after): (Phase, Phase), state: &State, rule: Rule, client: usize) -> String {
    let name = if client == 0 { "A" } else { "B" };
    match (before, after) {
        (Phase::Running | Phase::Acquired, Phase::Stopping(left)) => {
            format!("; {name}'s command is to end, at most {left} ticks from now")
        }
        (before, after) if before == after => String::new(),
        (_, Phase::Acquired) => format!("; {name} has acquired the lock"),
        (_, Phase::Running) => {
            let left = state.ticks_left(rule, client).unwrap_or(0);
            format!("; {name}'s command runs, for {left} ticks at most")
        }
        (_, Phase::Released | Phase::Over) => format!("; {name} has failed: release to all"),
        _ => String::new(),
    }
}
