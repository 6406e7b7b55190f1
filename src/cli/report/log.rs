//! The log of `--verbose`: the events of the lock, each fact once.

use super::super::duration::shown;
use super::Report;
use super::describe::extension;
use super::printer::Volume;
use crate::policy::Notice;
use crate::supervisor;
use std::time::Duration;

/// How long a line of the log is not repeated.
const ONCE_IN: Duration = Duration::from_secs(60);
/// Most lines of the log in that time.
const MOST_LOGGED: usize = 200;

impl Report {
    /// Logs a notice if `--verbose` is given.
    pub(super) fn log(&self, notice: &Notice) {
        if self.printer.says(Volume::Verbose)
            && let Some(text) = self.logged_as(notice)
        {
            self.log_once(text);
        }
    }

    fn logged_as(&self, notice: &Notice) -> Option<String> {
        let (name, id) = (&self.name, &self.id);
        Some(match notice {
            Notice::Acquired { attempts, took, left, votes } => {
                let (took, left, votes) = (shown(*took), shown(*left), self.granted(votes));
                format!(
                    "acquired '{name}' at attempt {attempts} after {took}, for {left}; id {id}; {votes}"
                )
            }
            Notice::Extended { count: 1, left, every } => {
                let (left, every) = (shown(*left), shown(*every));
                format!(
                    "extended '{name}' for {left}, and again every {every} while the command runs"
                )
            }
            Notice::Released { held, extensions } => {
                let times = if *extensions == 1 { "extension" } else { "extensions" };
                let held = shown(*held);
                format!("released '{name}' after {held} and {extensions} {times}; id {id}")
            }
            Notice::InstanceLost { instance, response } => {
                let restarted = "it has restarted, or is another server (its run_id has changed)";
                let why = response.as_ref().map_or_else(|| restarted.to_owned(), extension);
                format!("'{name}': {} lost the lock: {why}", self.instance(*instance))
            }
            Notice::InstanceRejoined { instance } => {
                format!("'{name}': {} confirmed the lock", self.instance(*instance))
            }
            Notice::Unconfirmed { instance, response } => {
                format!(
                    "'{name}': {} did not extend: {}",
                    self.instance(*instance),
                    extension(response)
                )
            }
            Notice::Killing => format!("'{name}': killing the command"),
            _ => return None,
        })
    }

    /// Logs a line, unless the same line was logged within [`ONCE_IN`]: an unsteady server would
    /// fill the log.
    fn log_once(&self, text: String) {
        let now = supervisor::now();
        let mut logged = self.logged.borrow_mut();
        logged.retain(|(_, at)| now.since(*at) < ONCE_IN);
        if !logged.iter().any(|(said, _)| *said == text) && logged.len() < MOST_LOGGED {
            self.printer.say(Volume::Verbose, &text);
            logged.push((text, now));
        }
    }
}
