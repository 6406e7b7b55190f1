//! What people should know before a run: secrets that every user of the host can read.

use std::path::Path;

/// A secret that every user of this host may read.
pub(super) fn public_secret(what: &str, path: &Path) -> String {
    let path = path.display();
    format!("every user of this host can read {what} {path}; run: chmod o-r {path}")
}
