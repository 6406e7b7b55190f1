//! The nonce of one attempt.

use std::fmt::{self, Write as _};

/// 20 random bytes, new for every attempt (`my_random_value` of the Redlock page).
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Token([u8; Token::LEN]);

impl Token {
    /// The length in bytes.
    pub const LEN: usize = 20;

    /// The token of `bytes`, which must be new bytes of the system's random source.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The token in lower-case hex, 40 characters.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// Hides the token: a reader of a log could release the lock with the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `bytes` in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_forty_hex_digits_and_hidden_in_logs() {
        let token = Token::new([0x0f; Token::LEN]);
        assert_eq!(token.hex(), "0f".repeat(20));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
