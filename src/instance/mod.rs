//! One Redis server, and the cluster of all servers: address, commands, and replies.
//!
//! No code here decides when to send a request or how to act on a response, and no request is
//! repeated.

mod address;
mod batch;
mod cluster;
mod commands;
mod connection;
mod endpoint;
mod examine;
mod full_server;
#[cfg(test)]
mod fuzz;
mod happy_eyeballs;
mod in_flight;
mod inspector;
mod list;
mod malformed;
mod observe;
mod pause;
mod pipeline;
mod redacted;
mod reply;
mod resp;
mod revoke;
mod scripts;
mod server_error;
mod server_info;
mod server_state;
mod settings;
mod silent;
mod tls;
mod transport;
mod trusted_file;
mod unreleased;
mod url;

pub use cluster::Cluster;
pub use endpoint::{Endpoint, InvalidUrl, Login};
pub use examine::{InfoFields, ServerFacts};
pub use inspector::Inspector;
pub use list::KeyPattern;
pub use observe::Subjects;
pub use redacted::{has_password, redacted};
pub use revoke::ForceRelease;
pub use settings::ClusterSettings;
pub use tls::{InvalidTls, Tls, TlsFiles};
pub use trusted_file::{SizeLimit, TrustedFile, UntrustedFile, Writers};
