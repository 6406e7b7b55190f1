//! Characters that are not shown to a person as they came.

/// Whether a terminal obeys `c`, or `c` turns the direction of a text, ends its line, or is
/// invisible.
#[must_use]
pub const fn is_unprintable(c: char) -> bool {
    c.is_ascii_control()
        || matches!(c, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_marks_that_turn_or_hide_text_are_unprintable_and_letters_are_not() {
        let all = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        assert!(all.filter(|c| c.is_control()).all(is_unprintable));
        assert!(
            "\u{61c}\u{200b}\u{200d}\u{2028}\u{202e}\u{2066}\u{feff}".chars().all(is_unprintable)
        );
        assert!(!"aü…中 \u{a0}".chars().any(is_unprintable));
    }
}
