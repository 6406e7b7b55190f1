//! One Redis server, and the cluster of them: where it is, what is sent to it, what its replies mean.
//!
//! Nothing here decides when to ask or what follows from an answer, and nothing asks twice.

mod aside;
mod batch;
mod cluster;
mod commands;
mod endpoint;
mod errand;
mod errors;
mod happy_eyeballs;
mod info;
mod link;
mod planted;
mod redacted;
mod reply;
mod resp;
mod scripts;
mod tls;
mod trusted_file;
mod url;
mod wire;
mod worker;

pub use cluster::{Cluster, Conduct};
pub use endpoint::{Endpoint, InvalidUrl, Login};
pub use redacted::{has_password, redacted};
pub use tls::{InvalidTls, Tls, TlsFiles};
pub use trusted_file::{SizeLimit, TrustedFile, UntrustedFile, Writers};
