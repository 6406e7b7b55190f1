//! The order in which the actions of one event are carried out.

use crate::policy::Action;

/// Sorts the actions: other actions, then notices, then the start of a command, and the end. Within
/// each group, the order stays.
///
/// No notice can delay an action. Only a start comes after the notices, since the command may write
/// to the same terminal.
pub(super) fn deeds_first(actions: &mut [Action]) {
    actions.sort_by_key(|action| match action {
        Action::Notify(_) => 1,
        Action::Start { .. } => 2,
        Action::End(_) => 3,
        _ => 0,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Time;
    use crate::policy::{LossCause, Notice, Outcome, Signal};

    #[test]
    fn a_signal_is_sent_before_it_is_said_why_and_a_command_starts_after_the_words() {
        let stopping = Action::Notify(Notice::Stopping(LossCause::NoQuorum));
        let start = Action::Start { stop_at: Time::NEVER, kill_at: Time::NEVER };
        let end = Action::End(Outcome::Lost(LossCause::NoQuorum));
        let waited = Action::Notify(Notice::Waited);
        let table = [
            ("a stop", vec![stopping.clone(), Action::Stop(Signal::TERM), Action::Kill], [1, 2, 0]),
            ("a start", vec![waited.clone(), start.clone(), waited.clone()], [0, 2, 1]),
            ("the end", vec![end.clone(), stopping, Action::Dismiss], [2, 1, 0]),
        ];
        for (label, actions, order) in table {
            let mut sorted = actions.clone();
            deeds_first(&mut sorted);
            assert_eq!(sorted, order.map(|index| actions[index].clone()), "{label}");
        }
    }
}
