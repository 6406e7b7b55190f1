//! `--events`: notices as JSON, one object a line. docs/events.md describes each.
//!
//! A thread writes the lines, so a stream that takes nothing holds up nothing. Lines that find no
//! room are lost, and counted.

use super::Subject;
use super::writer::Writer;
use crate::cli::json::{ShownHolder, millis};
use crate::policy::{Blocker, LossCause, Notice, end_parts};
use crate::supervisor;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::time::Duration;

/// Time limit of the last lines.
const LAST: Duration = Duration::from_secs(1);

/// The events of one run.
#[derive(Debug)]
pub(in crate::cli) struct EventLog {
    writer: Writer<File>,
    names: Vec<String>,
    id: String,
    instances: Vec<String>,
    is_verbose: bool,
}

impl EventLog {
    /// The events of the run with this public name.
    pub(in crate::cli) fn new(
        stream: File,
        subject: &Subject<'_>,
        id: &str,
        is_verbose: bool,
    ) -> Self {
        Self {
            writer: Writer::silent(stream),
            names: subject.names.iter().map(|name| name.as_str().to_owned()).collect(),
            id: id.to_owned(),
            instances: subject.endpoints.iter().map(ToString::to_string).collect(),
            is_verbose,
        }
    }

    /// Writes the events of a notice.
    pub(in crate::cli) fn note(&self, notice: &Notice) {
        for (event, fields) in self.events(notice) {
            let mut line = Map::new();
            line.insert("event".to_owned(), json!(event));
            line.insert("at_ms".to_owned(), json!(millis(supervisor::since_1970())));
            line.insert("names".to_owned(), json!(self.names));
            line.insert("id".to_owned(), json!(self.id));
            if let Value::Object(fields) = fields {
                line.extend(fields);
            }
            self.writer.write(format!("{}\n", Value::Object(line)));
        }
    }

    /// Waits a little for the last lines. Returns the number of lines that are lost.
    pub(in crate::cli) fn settle(&self) -> u32 {
        self.writer.settle(LAST);
        self.writer.lost()
    }

    fn events(&self, notice: &Notice) -> Vec<(&'static str, Value)> {
        let event = match notice {
            Notice::Waiting { blocker, place } => ("waiting", waiting(blocker, *place)),
            Notice::Acquired { attempts, took, left, .. } => (
                "acquired",
                json!({"attempts": attempts, "waited_ms": millis(*took), "left_ms": millis(*left)}),
            ),
            Notice::Extended { left, .. } if self.is_verbose => {
                ("extended", json!({"left_ms": millis(*left)}))
            }
            Notice::CommandStarted => ("command_started", json!({})),
            Notice::CommandEnded(end) => {
                let (exit_code, signal) = end_parts(*end);
                ("command_ended", json!({"exit_code": exit_code, "signal": signal}))
            }
            Notice::InstanceLost { instance, .. } | Notice::ClockStepped { instance, .. } => {
                ("instance_lost", self.instance(*instance))
            }
            Notice::InstanceRejoined { instance } => ("instance_back", self.instance(*instance)),
            Notice::Lost(loss) => ("lost", json!({"cause": cause(loss)})),
            Notice::Stopping(loss) => {
                return vec![
                    ("lost", json!({"cause": cause(loss)})),
                    ("stopping", json!({"why": "lost"})),
                ];
            }
            Notice::MaxRuntimeExceeded => ("stopping", json!({"why": "max_runtime"})),
            Notice::Released { .. } => ("released", json!({"complete": true})),
            Notice::ReleaseIncomplete(_) => ("released", json!({"complete": false})),
            _ => return vec![],
        };
        vec![event]
    }

    fn instance(&self, number: usize) -> Value {
        json!({"instance": self.instances.get(number)})
    }
}

fn waiting(blocker: &Blocker, place: Option<u32>) -> Value {
    let holder = match blocker {
        Blocker::Holder(holder) => holder.as_ref().map(|holder| ShownHolder::of(&holder.value)),
        Blocker::Instances(_) => None,
    };
    let why = match blocker {
        Blocker::Holder(_) => "busy",
        Blocker::Instances(_) => "no_quorum",
    };
    json!({"why": why, "holder": holder, "place": place})
}

const fn cause(loss: &LossCause) -> &'static str {
    match loss {
        LossCause::NoQuorum => "no_quorum",
        LossCause::KeysGone => "keys_gone",
        LossCause::Revoked(_) => "revoked",
        LossCause::EndedAfterExpiry => "ended_after_expiry",
    }
}
