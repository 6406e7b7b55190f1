//! The actions and messages of the run, with their times, for the search for the cause of a
//! failure.

use crate::support::clock;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// The entries of all writers, in the order of writing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Entry>>>);

impl Journal {
    pub(crate) fn note(&self, text: impl Into<String>) {
        let entry = Entry { at: clock::now(), text: text.into() };
        self.0.lock().expect("no panic").push(entry);
    }

    /// Notes each line of a stream, until all writers have closed it.
    pub(crate) fn listen(&self, who: String, stream: impl Read + Send + 'static) {
        let journal = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                journal.note(format!("{who}: {line}"));
            }
        });
    }

    /// The entries about this contender.
    pub(crate) fn about(&self, id: u32) -> Vec<Entry> {
        let mark = format!("contender {id} ");
        let entries = self.0.lock().expect("no panic");
        entries.iter().filter(|entry| entry.text.contains(&mark)).cloned().collect()
    }

    /// The entries from `begin` to `end`.
    pub(crate) fn between(&self, begin: Duration, end: Duration) -> Vec<Entry> {
        let entries = self.0.lock().expect("no panic");
        entries.iter().filter(|entry| (begin..=end).contains(&entry.at)).cloned().collect()
    }
}
