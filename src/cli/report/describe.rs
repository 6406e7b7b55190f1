//! Facts in words.

use super::super::duration::shown;
use super::holder::{revoked, safe};
use crate::lock::{Extension, NoVoteReason};
use crate::policy::{LossCause, SpawnError};
use crate::supervisor::Missing;
use anyhow::anyhow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// `number` as people count.
pub(in super::super) fn ordinal(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// How a lock was lost.
pub(in super::super) fn reason(loss: &LossCause) -> String {
    match loss {
        LossCause::NoQuorum => "too few instances confirmed it in time".into(),
        LossCause::KeysGone => "too few instances still have the key".into(),
        LossCause::Revoked(revocation) => revoked(revocation),
        LossCause::EndedAfterExpiry => "the command ended after the lock had expired".into(),
    }
}

/// The response of an instance to an extension.
pub(in super::super) fn extension(response: &Extension) -> String {
    match response {
        Extension::Kept => "kept".into(),
        Extension::SetAgain => "the key was missing and was set again".into(),
        Extension::Missing => "the key is missing".into(),
        Extension::Foreign => "the key has the value of another client".into(),
        Extension::Revoked(revocation) => revoked(revocation),
        Extension::Unknown(why) => safe(&unknown(why)),
    }
}

/// The reason why an instance has no vote.
pub(in super::super) fn unknown(why: &NoVoteReason) -> String {
    match why {
        NoVoteReason::TimedOut => "timed out".into(),
        NoVoteReason::Unreachable(text)
        | NoVoteReason::Transient(text)
        | NoVoteReason::Refused(_, text) => text.clone(),
        NoVoteReason::Restarted { up, votes_in } => {
            format!("restarted {} ago, votes again in {}", shown(*up), shown(*votes_in))
        }
        NoVoteReason::NoCounter => "has no counter for a fencing token".into(),
        NoVoteReason::HigherCounter(token) => {
            format!("has a fencing token that is not smaller, {token}")
        }
        NoVoteReason::Unproven { votes_in } => {
            format!("may have lost its memory, votes in {}", shown(*votes_in))
        }
    }
}

/// The reason why a program cannot be run.
pub(in super::super) fn cannot_run(program: &str, why: SpawnError) -> String {
    match why {
        SpawnError::NotFound => match missing_interpreter(program) {
            Some(line) if line.ends_with('\r') => format!(
                "cannot run '{program}': its first line ends as on Windows (CRLF), so that no '{}' is found; convert it, as by \
                 dos2unix",
                safe(&line)
            ),
            Some(line) => {
                format!("cannot run '{program}': its interpreter '{}' is not found", safe(&line))
            }
            None => format!("cannot run '{program}': not found"),
        },
        SpawnError::CannotExecute(errno) => format!("cannot run '{program}': {}", system(errno)),
    }
}

/// The interpreter in the first line of the script `program`: if the script exists, only the
/// interpreter can be missing. `None` if there is no such script.
fn missing_interpreter(program: &str) -> Option<String> {
    let paths = if program.contains('/') { OsString::new() } else { std::env::var_os("PATH")? };
    let file = std::env::split_paths(&paths).map(|directory| directory.join(program));
    let mut file = file.chain([program.into()]).find_map(|path| File::open(path).ok())?;
    let mut start = [0; 256];
    let count = file.read(&mut start).ok()?;
    let line = start.get(..count)?.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).trim_start_matches([' ', '\t']).to_owned();
    // The interpreter's arguments follow its path.
    Some(line.split([' ', '\t']).next().unwrap_or_default().to_owned())
}

/// Means that a guardian lacks.
pub(in super::super) fn missing(missing: Missing) -> anyhow::Error {
    match missing {
        Missing::Proc => anyhow!(
            "cannot see what the command starts: /proc is not that of this pid namespace; mount it ('mount -t proc proc /proc', \
             'unshare --mount-proc')"
        ),
        Missing::Call(errno) => anyhow!("cannot guard the command: {}", system(errno)),
        Missing::Guardian => anyhow!("the guardian was killed"),
    }
}

/// The system's words for an error number, without the number.
fn system(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A secret that every user of this host may read.
pub(in super::super) fn public_secret(what: &str, path: &Path) -> String {
    let path = safe(&path.to_string_lossy());
    format!("every user of this host can read {what} {path}; run: chmod o-r {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_people_do() {
        let counted = [
            (1, "1st"),
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (11, "11th"),
            (12, "12th"),
            (13, "13th"),
            (21, "21st"),
            (112, "112th"),
        ];
        for (number, text) in counted {
            assert_eq!(ordinal(number), text);
        }
    }
}
