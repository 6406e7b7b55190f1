//! The name of a lock, and its Redis key.

use std::fmt;

/// The name of a lock: 1 to 512 bytes of UTF-8, without control characters.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

impl Name {
    /// The longest name, in bytes. Every message contains the name.
    pub const MAX: usize = 512;

    /// The name `text`.
    ///
    /// # Errors
    /// When `text` is empty, longer than [`Name::MAX`] bytes, or contains a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        if text.is_empty() {
            Err(InvalidName::Empty)
        } else if text.len() > Self::MAX {
            Err(InvalidName::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(InvalidName::Control)
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The Redis key of a lock: a string key, as other Redlock clients use with `SET NX`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key(String);

impl Key {
    /// The key of the lock `name` under `prefix`, which may be empty.
    ///
    /// # Errors
    /// When `prefix` is longer than [`Name::MAX`] bytes, or contains a control character.
    pub fn of(prefix: &str, name: &Name) -> Result<Self, InvalidName> {
        match Name::new(prefix) {
            Ok(_) | Err(InvalidName::Empty) => Ok(Self(format!("{prefix}{name}"))),
            Err(error) => Err(error),
        }
    }

    /// The key `text` without a prefix, for a lock shared with other Redlock clients.
    ///
    /// # Errors
    /// As [`Name::new`].
    pub fn literal(text: impl Into<String>) -> Result<Self, InvalidName> {
        Name::new(text).map(|name| Self(name.0))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Error of a text that is no name or key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidName {
    /// The text is empty.
    Empty,
    /// The text is longer than [`Name::MAX`] bytes.
    TooLong,
    /// The text contains a control character, which a terminal would obey.
    Control,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "expected at least one character",
            Self::TooLong => "expected at most 512 bytes",
            Self::Control => "expected no control characters",
        })
    }
}

impl std::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        for (text, expected) in [
            ("nightly", Ok(())),
            ("größe/of things", Ok(())),
            ("", Err(InvalidName::Empty)),
            ("a\nb", Err(InvalidName::Control)),
            ("a\u{1b}[2J", Err(InvalidName::Control)),
            (&"x".repeat(512), Ok(())),
            (&"x".repeat(513), Err(InvalidName::TooLong)),
        ] {
            let name = Name::new(text);
            assert_eq!(
                name.as_ref().map(Name::as_str).map_err(|error| *error),
                expected.map(|()| text),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_key_is_prefix_and_name_or_taken_literally() {
        let name = Name::new("nightly").unwrap();
        for (prefix, key) in [
            ("redlock:", Ok("redlock:nightly")),
            ("", Ok("nightly")),
            ("a\n", Err(InvalidName::Control)),
        ] {
            assert_eq!(
                Key::of(prefix, &name).as_ref().map(Key::as_str).map_err(|error| *error),
                key
            );
        }
        assert_eq!(Key::literal("jobs/nightly").unwrap().as_str(), "jobs/nightly");
        assert_eq!(Key::literal(""), Err(InvalidName::Empty));
    }
}
