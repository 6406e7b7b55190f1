//! Files that hold a handle: created with mode 600, and replaced as a whole.

use super::clock::pause;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, SigmaskHow};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A new file under a temporary name. It gets its contents and its name later.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    draft: PathBuf,
    file: File,
}

impl NewFile {
    /// A file for `path`, in the same directory, with mode 600.
    ///
    /// # Errors
    /// When the directory takes no file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_with(path, 0o600)
    }

    /// The same with the mode `mode`.
    pub(super) fn create_with(path: &Path, mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        // A draft of an earlier process with this number.
        let _ = fs::remove_file(&draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        Ok(Self { path: path.to_owned(), draft, file })
    }

    /// Writes `text` and gives the file its name. If the name exists, the file replaces it if
    /// `replaces` is set, and is an error otherwise.
    ///
    /// # Errors
    /// When the file cannot be written or named.
    pub fn persist(mut self, text: &str, replaces: bool) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        if replaces {
            fs::rename(&self.draft, &self.path)
        } else {
            fs::hard_link(&self.draft, &self.path)
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a rename there is no draft left to remove.
        let _ = fs::remove_file(&self.draft);
    }
}

/// An existing file that no other process of redlock changes meanwhile.
#[derive(Debug)]
pub struct HandleFile {
    path: PathBuf,
    _lock: Flock<File>,
}

impl HandleFile {
    /// Pause between two tries to lock the file, in milliseconds, and number of tries.
    const AGAIN: u16 = 20;
    const TRIES: u16 = 500;

    /// Waits until no other process of redlock uses the file at `path`, for ten seconds at most.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process uses the file all the time, and any error
    /// of the file.
    pub fn lock(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        for _ in 0..Self::TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    // The file may have been replaced meanwhile.
                    let (ours, there) = (lock.metadata()?, fs::metadata(path)?);
                    if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
                        return Ok(Self { path: path.to_owned(), _lock: lock });
                    }
                    file = File::open(path)?;
                }
                Err((same, Errno::EAGAIN)) => {
                    // The kernel has no event for the release of a file lock.
                    pause(Self::AGAIN);
                    file = same;
                }
                Err((_, errno)) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Replaces the contents.
    ///
    /// # Errors
    /// When the new file cannot be written.
    pub fn replace(&self, text: &str) -> io::Result<()> {
        NewFile::create(&self.path)?.persist(text, true)
    }
}

/// A file that a thread writes, so that a file system that hangs does not delay an extension.
#[derive(Debug)]
pub struct StateFile {
    feed: Sender<String>,
    done: Receiver<()>,
}

impl StateFile {
    /// Keeps the file at `path` up to date. No file is written before the first update.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let ((feed, texts), (end, done)) = (channel::<String>(), channel());
        let write = move || {
            while let Ok(text) = texts.recv() {
                let newest = texts.try_iter().last().unwrap_or(text);
                // An error is ignored: the lock is still held, and the next update may succeed.
                let _ = NewFile::create(&path).and_then(|file| file.persist(&newest, true));
            }
            drop(end);
        };
        // Blocks all signals in the thread, since the thread of the loop receives them.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let thread = std::thread::Builder::new().name("state".to_owned()).stack_size(0x1_0000);
        let started = thread.spawn(write);
        before.thread_set_mask()?;
        started?;
        Ok(Self { feed, done })
    }

    /// Queues `text` as the new contents. Returns at once.
    pub fn update(&self, text: String) {
        let _ = self.feed.send(text);
    }

    /// Waits until the file is up to date, for `longest` at most.
    pub fn settle(self, longest: Duration) {
        let Self { feed, done } = self;
        drop(feed);
        // The end of the channel is the end of the thread. Without it, the last text may be lost.
        let _ = done.recv_timeout(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_file_is_private_and_replaces_another_only_if_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("handle");
        NewFile::create(&path).unwrap().persist("one", false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(NewFile::create(&path).unwrap().persist("two", false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        NewFile::create(&path).unwrap().persist("three", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_locked_file_is_that_which_has_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("handle");
        NewFile::create(&path).unwrap().persist("one", false).unwrap();
        let first = HandleFile::lock(&path).unwrap();
        first.replace("two").unwrap();
        let second = HandleFile::lock(&path).unwrap();
        second.replace("three").unwrap();
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    }

    #[test]
    fn a_state_file_has_the_last_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = StateFile::new(path.clone()).unwrap();
        (0..100).for_each(|number| state.update(number.to_string()));
        state.settle(Duration::from_secs(60));
        assert_eq!(fs::read_to_string(&path).unwrap(), "99");
    }
}
