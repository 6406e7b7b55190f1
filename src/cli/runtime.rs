//! The async runtime, for all that waits for servers and processes.

use super::error::CliError;
use crate::supervisor::SystemError;
use anyhow::Context as _;
use std::future::Future;

/// Runs `work` to its end, and leaves the runtime to the end of the process.
///
/// Dropping a runtime waits for its threads. One of them may still look up a name, for as long as
/// the resolver takes.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(work);
    // The kernel has all bytes that were written. The end of the process closes the connections.
    std::mem::forget(runtime);
    Ok(result)
}

/// Carries out `work`, which asks servers. An error of the system ends redlock.
pub(super) fn ask_servers<T>(
    work: impl Future<Output = Result<T, SystemError>>,
) -> Result<T, CliError> {
    block_on(work).map_err(CliError::failed)?.map_err(|trouble| {
        CliError::failed(anyhow::Error::new(trouble.error).context(trouble.what))
    })
}
