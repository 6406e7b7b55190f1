//! Variables that set no option: servers, password, and locks held around this process.

use super::error::CliError;
use super::handle;
use super::outer::OuterLock;
use crate::lock::Key;
use anyhow::anyhow;
use std::env::VarError;

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

/// Those variables, read once.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) urls: Option<String>,
    pub(super) password: Option<String>,
    pub(super) held: Vec<OuterLock>,
}

impl Environment {
    pub(super) fn read() -> Result<Self, CliError> {
        let mut held: Vec<OuterLock> = vec![];
        if let Some(handle) = Self::handle()? {
            // A handle that cannot be used holds nothing for this process.
            held.extend(handle::of_variable(&handle).iter().flat_map(OuterLock::of_handle));
        }
        held.extend(set(HELD)?.iter().flat_map(|held| held.lines().map(OuterLock::parse)));
        Ok(Self { urls: set(URLS)?, password: set(PASSWORD)?, held })
    }

    /// The handle that the variable holds or names.
    pub(super) fn handle() -> Result<Option<String>, CliError> {
        set(HANDLE)
    }

    /// The fencing token of the handle, if its lock has exactly these keys.
    pub(super) fn token_of(&self, keys: &[&str]) -> Option<u64> {
        let of_handle = || self.held.iter().filter(|outer| outer.is_of_handle());
        let is_it = of_handle().count() == keys.len()
            && of_handle().all(|outer| keys.contains(&outer.key.as_str()));
        of_handle().next().filter(|_| is_it)?.token()
    }

    /// The innermost line that says that a redlock around this one holds `key`.
    pub(super) fn outer(&self, key: &Key) -> Option<&OuterLock> {
        self.held.iter().rfind(|outer| outer.key == key.as_str())
    }
}

fn set(name: &str) -> Result<Option<String>, CliError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(CliError::config(anyhow!("{name} is not UTF-8; set it to text that is")))
        }
    }
}
