//! Placeholder for a build without TLS. No value of these types exists, and none is needed, since
//! `rediss://` is refused.

use super::{InvalidTls, TlsFiles};
use crate::lock::NoVoteReason;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// A TLS client. No value exists.
#[derive(Clone, Debug)]
pub enum Tls {}

impl Tls {
    /// Always fails.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: &TlsFiles) -> Result<Self, InvalidTls> {
        Err(InvalidTls("this redlock was built without TLS".into()))
    }

    /// Whether every user of this host may read the private key. There is no private key.
    #[must_use]
    pub const fn has_public_key(&self) -> bool {
        match *self {}
    }

    pub(in super::super) const fn channel_to(&self, _: &str) -> Option<Channel> {
        match *self {}
    }
}

#[derive(Clone, Debug)]
pub(in super::super) enum Channel {}

impl Channel {
    #[expect(clippy::unused_async, reason = "the other one waits for the server")]
    pub(in super::super) async fn encrypt(&self, _: TcpStream) -> io::Result<Encrypted> {
        match *self {}
    }

    pub(in super::super) const fn certificate_left(
        &self,
        _: &Encrypted,
        _: Duration,
        _: Duration,
    ) -> Option<Duration> {
        match *self {}
    }
}

pub(in super::super) type Encrypted = TcpStream;

pub(in super::super) const fn below(stream: &Encrypted) -> &TcpStream {
    stream
}

pub(in super::super) const fn refusal_in_handshake(_: &io::Error) -> Option<NoVoteReason> {
    None
}

pub(in super::super) const fn refusal_after_it(_: &io::Error) -> Option<NoVoteReason> {
    None
}
