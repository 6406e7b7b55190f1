//! The fencing token in words.

use super::Report;
use super::printer::Volume;
use crate::policy::Notice;

impl Report {
    /// Reports a notice about the fencing token.
    pub(super) fn fence(&self, notice: &Notice) {
        let name = &self.name;
        match notice {
            Notice::Fenced(token) => {
                self.printer.say(Volume::Verbose, &format!("'{name}': fencing token {token}"));
            }
            Notice::FirstFence => self.printer.say(
                Volume::Verbose,
                &format!("'{name}': the first fencing token; no instance had a counter"),
            ),
            Notice::CountersLost => self.printer.say(
                Volume::Plain,
                &format!(
                    "'{name}': too few instances have a counter for its fencing token, so the counters begin anew; this \
                     token is larger than the earlier ones if the hosts' clocks agree"
                ),
            ),
            _ => {}
        }
    }
}
