//! The name of a lock that was given none.

use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The program without its directory.
pub(super) fn program(argv: &[OsString]) -> String {
    let first = argv.first().map(Path::new);
    first.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

/// `<program>-<12 hex digits of SHA-256 over the arguments, each ended by a NUL>`: the same on
/// every host and in every directory, another for other arguments.
pub(super) fn derived(argv: &[OsString]) -> String {
    let mut hash = Sha256::new();
    for argument in argv.iter().skip(1) {
        hash.update(argument.as_bytes());
        // No argument can hold it, so no two lists of arguments are the same bytes.
        hash.update([0]);
    }
    let digest = crate::lock::hex(&hash.finalize());
    let program: String = program(argv).chars().filter(|c| !c.is_control()).collect();
    format!("{program}-{}", digest.get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(words: &[&str]) -> String {
        derived(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_name_depends_on_program_and_arguments_alone() {
        assert_eq!(name(&["./migrate.sh"]), "migrate.sh-e3b0c44298fc", "SHA-256 of nothing");
        assert_eq!(name(&["/opt/app/migrate.sh", "a"]), name(&["./migrate.sh", "a"]));
        assert_ne!(name(&["x", "a", "b"]), name(&["x", "ab"]));
        assert_ne!(name(&["x", "a", ""]), name(&["x", "a"]));
    }
}
