//! Files with servers and credentials: the configuration, passwords, certificates and keys.
//!
//! The rules are those of ssh(1) for its own files: a regular file of a bounded size that only root
//! and this user can change. The rules are checked on the open file, since a path may lead
//! elsewhere a moment later. A symbolic link is followed.

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest size of a file, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SizeLimit {
    /// 64 KiB: a configuration, a password, a certificate or a key.
    Small,
    /// 4 MiB: a bundle of CAs. A system's bundle has 150 CAs in 250 KB.
    Bundle,
}

impl SizeLimit {
    const fn bytes(self) -> u64 {
        match self {
            Self::Small => 0x1_0000,
            Self::Bundle => 0x40_0000,
        }
    }

    const fn shown(self) -> &'static str {
        match self {
            Self::Small => "64 KiB",
            Self::Bundle => "4 MiB",
        }
    }
}

/// Users that may have written a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writers {
    /// Root and this user.
    RootOrUs,
    /// Any user that may write to the system's own directories. Inside a user namespace, root's
    /// files may seem to belong to another user.
    System,
}

/// The contents of a trusted file.
#[derive(Clone, Eq, PartialEq)]
pub struct TrustedFile {
    /// The contents.
    pub bytes: Vec<u8>,
    /// Whether every user of this host may read the file.
    pub is_public: bool,
}

impl TrustedFile {
    /// Reads `path` without waiting for a writer.
    ///
    /// # Errors
    /// When the file cannot be read, is no regular file, is larger than `limit`, or can be changed
    /// by users other than `writers`.
    pub fn read(path: &Path, limit: SizeLimit, writers: Writers) -> Result<Self, UntrustedFile> {
        let fail = |problem| UntrustedFile { path: path.to_owned(), problem };
        // Opening a FIFO would wait for its other end.
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| fail(FileProblem::Unreadable(error)))?;
        let metadata = file.metadata().map_err(|error| fail(FileProblem::Unreadable(error)))?;
        check(&metadata, limit, writers).map_err(fail)?;
        let bytes = contents(file, metadata.len(), limit).map_err(fail)?;
        Ok(Self { bytes, is_public: metadata.mode() & 0o004 != 0 })
    }
}

fn check(metadata: &Metadata, limit: SizeLimit, writers: Writers) -> Result<(), FileProblem> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let us = geteuid().as_raw();
    if !metadata.is_file() {
        Err(FileProblem::NotRegular)
    } else if metadata.len() > limit.bytes() {
        Err(FileProblem::TooLarge(limit))
    } else if writers == Writers::System {
        Ok(())
    } else if owner != 0 && owner != us {
        Err(FileProblem::Foreign { owner, us })
    } else if mode & 0o022 != 0 {
        Err(FileProblem::Writable(mode))
    } else {
        Ok(())
    }
}

/// Reads the contents. The file may have grown meanwhile, or have no length, as files in /proc.
fn contents(file: File, length: u64, limit: SizeLimit) -> Result<Vec<u8>, FileProblem> {
    let mut bytes =
        Vec::with_capacity(usize::try_from(length).unwrap_or_default().saturating_add(1));
    file.take(limit.bytes().saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileProblem::Unreadable)?;
    let is_within = u64::try_from(bytes.len()).is_ok_and(|length| length <= limit.bytes());
    if is_within { Ok(bytes) } else { Err(FileProblem::TooLarge(limit)) }
}

/// Error of a file that redlock does not use.
#[derive(Debug)]
pub struct UntrustedFile {
    path: PathBuf,
    problem: FileProblem,
}

#[derive(Debug)]
enum FileProblem {
    Unreadable(io::Error),
    NotRegular,
    TooLarge(SizeLimit),
    /// Writable by its group or by all. Holds the mode.
    Writable(u32),
    Foreign {
        owner: u32,
        us: u32,
    },
}

impl UntrustedFile {
    /// Whether the file is missing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(&self.problem, FileProblem::Unreadable(error) if matches!(error.kind(), NotFound | NotADirectory))
    }
}

impl fmt::Display for UntrustedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        let path = path.escape_debug();
        match &self.problem {
            FileProblem::Unreadable(error) => {
                let text = error.to_string();
                write!(
                    f,
                    "cannot read {path}: {}",
                    text.split(" (os error").next().unwrap_or(&text)
                )
            }
            FileProblem::NotRegular => write!(f, "{path} is no regular file; expected one"),
            FileProblem::TooLarge(limit) => {
                write!(f, "{path} is too large; expected at most {}", limit.shown())
            }
            FileProblem::Writable(mode) => {
                write!(
                    f,
                    "{path} can be changed by other users (mode {mode:04o}); run: chmod go-w {path}"
                )
            }
            FileProblem::Foreign { owner, us: 0 } => {
                write!(
                    f,
                    "{path} belongs to user {owner}, who can change it; run: chown root {path}"
                )
            }
            FileProblem::Foreign { owner, us } => {
                write!(
                    f,
                    "{path} belongs to user {owner}, who can change it; give it to root or to user {us}"
                )
            }
        }
    }
}

impl std::error::Error for UntrustedFile {}

impl fmt::Debug for TrustedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedFile(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn read(path: &Path) -> Result<TrustedFile, String> {
        TrustedFile::read(path, SizeLimit::Small, Writers::RootOrUs)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_used_only_if_no_other_user_can_change_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "text").unwrap();
        symlink(&path, dir.path().join("link")).unwrap();
        for (mode, expected) in [
            (0o600, Ok(false)),
            (0o440, Ok(false)),
            (0o644, Ok(true)),
            (0o660, Err("mode 0660); run: chmod go-w")),
            (0o602, Err("mode 0602); run: chmod go-w")),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&path, &dir.path().join("link")] {
                match (read(path), expected) {
                    (Ok(file), Ok(is_public)) => {
                        assert_eq!((&file.bytes[..], file.is_public), (&b"text"[..], is_public));
                    }
                    (Err(said), Err(words)) => assert!(said.contains(words), "{mode:o}: {said}"),
                    (seen, _) => panic!("{mode:o}: {seen:?}"),
                }
            }
        }
    }

    #[test]
    fn an_irregular_or_too_large_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large");
        fs::write(&large, vec![b'x'; 0x1_0001]).unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for (path, words) in [
            (Path::new("/dev/zero"), "no regular file"),
            (fifo.as_path(), "no regular file"),
            (dir.path(), "no regular file"),
            (large.as_path(), "at most 64 KiB"),
            (Path::new("/nonexistent"), "cannot read /nonexistent: No such file"),
        ] {
            let said = read(path).unwrap_err();
            assert!(said.contains(words), "{}: {said}", path.display());
        }
        assert!(TrustedFile::read(&large, SizeLimit::Bundle, Writers::RootOrUs).is_ok());
    }
}
