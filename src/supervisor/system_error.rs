//! The error of the system that ends a run.

use std::io;

/// Error of the system that ends the run.
#[derive(Debug)]
pub struct SystemError {
    /// The operation that was refused.
    pub what: &'static str,
    /// The system's error.
    pub error: io::Error,
}

/// Makes the error of this operation.
pub(super) fn system_error(what: &'static str) -> impl Fn(io::Error) -> SystemError {
    move |error| SystemError { what, error }
}
