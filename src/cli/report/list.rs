//! A list of locks as a table, as wide as the terminal.

use super::super::duration::brief;
use super::Report;
use super::describe::unknown;
use super::holder::{ago, revoked, safe};
use super::printer::answer_width;
use super::status::person;
use super::votes::access;
use crate::lock::{Listed, ListedState, LockValue, NoVoteReason, Revocation, digest};
use std::time::Duration;

/// The common data of a table.
pub(in super::super) struct Table<'a> {
    pub(in super::super) prefix: &'a str,
    /// The wall clock, since 1970.
    pub(in super::super) now: Duration,
    pub(in super::super) servers: usize,
}

/// The cells of one line.
type Row = [String; 6];

impl Table<'_> {
    /// The table of `locks`.
    pub(in super::super) fn of(&self, locks: &[Listed]) -> String {
        let head = ["NAME", "HOLDER", "FOR", "LEFT", "WAITING", "REASON"].map(str::to_owned);
        let rows: Vec<Row> =
            std::iter::once(head).chain(locks.iter().map(|lock| self.row(lock))).collect();
        laid_out(&rows, answer_width())
    }

    fn row(&self, lock: &Listed) -> Row {
        let name = lock.key.strip_prefix(self.prefix).unwrap_or(&lock.key);
        let value = LockValue::parse(&lock.value);
        let holder = match &value {
            Some(value) => person(value),
            None => format!("another client, {}", digest(&lock.value)),
        };
        let on = format!("on {} of {}", lock.instances, self.servers);
        let holder = match lock.state {
            ListedState::Held => holder,
            ListedState::Remnant => format!("(remnant {on}) {holder}"),
            ListedState::Undetermined => format!("(undetermined, {on}) {holder}"),
        };
        let since = value.as_ref().map(|value| ago(self.now, Duration::from_secs(value.since)));
        let reason = value.and_then(|value| value.reason).unwrap_or_default();
        let reason = Revocation::parse(&lock.value).map_or(reason, |by| revoked(&by));
        [
            safe(name),
            holder,
            since.map_or_else(|| "-".into(), brief),
            lock.left.map_or_else(|| "no expiry".into(), brief),
            lock.waiting.to_string(),
            safe(&reason),
        ]
    }
}

/// The rows in columns. A table wider than `width` characters is cut: a long name to two fifths,
/// and then the end of each line.
fn laid_out(rows: &[Row], width: usize) -> String {
    let mut columns = [0; 6];
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            *column = (*column).max(cell.chars().count());
        }
    }
    if let Some(name) = columns.first_mut() {
        *name = (*name).min((width / 5).saturating_mul(2).max(12));
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, column) in row.iter().zip(columns) {
            let cell = cut(cell, column);
            line += &cell;
            line.extend(std::iter::repeat_n(
                ' ',
                (column + 2).saturating_sub(cell.chars().count()),
            ));
        }
        text += &cut(line.trim_end(), width);
        text.push('\n');
    }
    text
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

impl Report {
    /// The instances that did not list their locks.
    pub(in super::super) fn unlisted(&self, silent: &[(usize, &NoVoteReason)]) -> String {
        let lacks_scan = |why: &NoVoteReason| matches!(why, NoVoteReason::Refused(_, text) if text.ends_with("(SCAN)"));
        if let [(instance, why), ..] = silent
            && silent.iter().all(|(_, why)| lacks_scan(why))
        {
            return format!(
                "the user of redlock may not list keys on {}{}: {}; give it +scan (ACL SETUSER USER +scan)",
                self.instance(*instance),
                if silent.len() > 1 {
                    format!(" and {} more", silent.len() - 1)
                } else {
                    String::new()
                },
                safe(&unknown(why))
            );
        }
        let each = silent.iter().map(|(instance, why)| {
            format!("{}: {}", self.instance(*instance), safe(&unknown(why)))
        });
        let each = each.collect::<Vec<_>>().join("; ");
        let advice = silent.iter().find_map(|(_, why)| access(why));
        format!(
            "{} of {} servers did not list their locks: {each}{}",
            silent.len(),
            self.instances.len(),
            advice.map(|advice| format!("; {advice}")).unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_the_terminal() {
        let row = |name: &str, reason: &str| {
            [name, "ops@web1 (sh, pid 1)", "5s", "25s", "0", reason].map(str::to_owned)
        };
        let rows = [row("a", ""), row(&"n".repeat(60), "because of a long reason")];
        let wide = laid_out(&rows, usize::MAX);
        assert!(wide.contains(&"n".repeat(60)) && wide.ends_with("a long reason\n"), "{wide}");
        assert!(
            wide.lines().next().unwrap().ends_with("25s   0") || wide.contains("25s  0"),
            "{wide}"
        );
        let narrow = laid_out(&rows, 60);
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert!(narrow.lines().nth(1).unwrap().ends_with('…'), "{narrow}");
    }
}
