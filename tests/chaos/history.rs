//! The files that the commands write: one for each command, with a line for each moment at which it
//! was alive.

use crate::support::clock;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the histories, in the directory of the run.
pub(crate) const FOLDER: &str = "history";

/// The file that one command and its descendants write to.
pub(crate) struct Diary {
    file: File,
    id: u32,
    pid: u32,
    slot: String,
}

impl Diary {
    /// A diary in the current directory.
    pub(crate) fn open(id: u32) -> Self {
        // redlock sets no REDLOCK_SLOT for a lock with one slot.
        Self::of(id, std::env::var("REDLOCK_SLOT").unwrap_or_else(|_| "1".into()))
    }

    /// The same for a job of several steps, which knows its slot.
    pub(crate) fn of_slot(id: u32, slot: u32) -> Self {
        Self::of(id, slot.to_string())
    }

    fn of(id: u32, slot: String) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path(Path::new("."), id));
        Self { file: file.expect("the history can be written"), id, pid: std::process::id(), slot }
    }

    /// Writes a line in one write, so that it is complete or missing.
    pub(crate) fn write(&mut self, word: &str) {
        self.write_at(word, clock::now());
    }

    /// The same before `deadline`. Returns whether it is before.
    pub(crate) fn write_before(&mut self, word: &str, deadline: Duration) -> bool {
        let now = clock::now();
        if now < deadline {
            self.write_at(word, now);
        }
        now < deadline
    }

    fn write_at(&mut self, word: &str, now: Duration) {
        let line = format!("{word} {} {} {} {}\n", self.id, now.as_nanos(), self.pid, self.slot);
        self.file.write_all(line.as_bytes()).expect("the history can be written");
    }
}

/// One line of a history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) word: String,
    pub(crate) id: u32,
    pub(crate) at: Duration,
    pub(crate) pid: u32,
    pub(crate) slot: usize,
}

/// The time in which a command or its descendant was certainly alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Section {
    pub(crate) id: u32,
    pub(crate) slot: usize,
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

/// Whether this command has written anything yet.
pub(crate) fn has_begun(dir: &Path, id: u32) -> bool {
    path(dir, id).exists()
}

/// All that was written by this command and its descendants.
pub(crate) fn lines(dir: &Path, id: u32) -> Vec<Line> {
    parse(&fs::read_to_string(path(dir, id)).unwrap_or_default())
}

/// The sections of all histories.
pub(crate) fn sections(dir: &Path) -> Vec<Section> {
    let files = fs::read_dir(dir.join(FOLDER)).expect("the folder of the histories");
    let texts =
        files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("a history"));
    texts.filter_map(|text| section(&parse(&text))).collect()
}

/// The section in these lines of one command.
pub(crate) fn section(lines: &[Line]) -> Option<Section> {
    let moments = || lines.iter().map(|line| line.at);
    let Line { id, slot, .. } = *lines.first()?;
    Some(Section { id, slot, first: moments().min()?, last: moments().max()? })
}

/// The lines of a text. An incomplete line counts as not written.
pub(crate) fn parse(text: &str) -> Vec<Line> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line: &str| {
        let mut words = line.split(' ');
        let word = words.next()?.to_owned();
        let id = words.next()?.parse().ok()?;
        let at = Duration::from_nanos(words.next()?.parse().ok()?);
        let pid = words.next()?.parse().ok()?;
        // Histories that a test writes leave out the slot if there is only one.
        Some(Line {
            word,
            id,
            at,
            pid,
            slot: words.next().map_or(Some(1), |slot| slot.parse().ok())?,
        })
    };
    whole
        .lines()
        .map(|text| line(text).unwrap_or_else(|| panic!("no line of a history: {text:?}")))
        .collect()
}

fn path(dir: &Path, id: u32) -> PathBuf {
    dir.join(FOLDER).join(id.to_string())
}
