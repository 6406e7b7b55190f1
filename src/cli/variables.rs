//! Names of variables that set no option: servers, password, locks held around this process.

/// The variable that has the instances.
pub(super) const URLS: &str = "REDLOCK_URLS";
/// The variable that may have the password.
pub(super) const PASSWORD: &str = "REDLOCK_PASSWORD";
/// The variable that may name the file with the password.
pub(super) const PASSWORD_FILE: &str = "REDLOCK_PASSWORD_FILE";
/// The variable in which a command finds the locks that are held around it, one a line.
pub(super) const HELD: &str = "REDLOCK_HELD";
/// The variable that has the handle of a lock, or the path of its file.
pub(super) const HANDLE: &str = "REDLOCK_HANDLE";
/// The variable that has the fencing token.
pub(super) const FENCE: &str = "REDLOCK_FENCE";
