//! What a name or a sentence typed by a person may hold.

use std::fmt;

/// Why a text is refused; reads as the end of a sentence that starts with the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Nothing but white space.
    Empty,
    /// More characters than this.
    TooLong(usize),
    /// A NUL or another control character that no text has.
    ControlCharacter,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "must not be empty"),
            Self::TooLong(limit) => write!(f, "must have at most {limit} characters"),
            Self::ControlCharacter => write!(f, "must not hold control characters"),
        }
    }
}

/// Checks a one-line name and gives it without the white space around it.
///
/// # Errors
/// [`TextError`] when it is empty, longer than `limit` Unicode characters or holds a control character.
pub fn name(text: &str, limit: usize) -> Result<String, TextError> {
    let text = line(text, limit)?;
    if text.is_empty() { Err(TextError::Empty) } else { Ok(text) }
}

/// Checks a one-line text that may be empty.
///
/// # Errors
/// As [`name`], but for [`TextError::Empty`].
pub fn line(text: &str, limit: usize) -> Result<String, TextError> {
    let text = text.trim();
    // Bytes first: a text of 10 MB is refused without walking it.
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(TextError::TooLong(limit));
    }
    if text.chars().any(char::is_control) { Err(TextError::ControlCharacter) } else { Ok(text.to_owned()) }
}

/// Checks a text of several lines and gives it without the white space around it.
///
/// # Errors
/// As [`name`]; line breaks and tabs are no control characters here.
pub fn prose(text: &str, limit: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(TextError::TooLong(limit));
    }
    let is_odd = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    if text.chars().any(is_odd) { Err(TextError::ControlCharacter) } else { Ok(text.to_owned()) }
}

/// Whether a JSON value holds a NUL anywhere: PostgreSQL cannot store one.
#[must_use]
pub fn json_has_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(json_has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || json_has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_has_lines_but_no_control_characters() {
        assert_eq!(prose(" too dark,\n\tsee above ", 30), Ok("too dark,\n\tsee above".to_owned()));
        assert_eq!(prose(" \n ", 30), Err(TextError::Empty));
        assert_eq!(prose("ünü", 3), Ok("ünü".to_owned()));
        assert_eq!(prose("four", 3), Err(TextError::TooLong(3)));
        assert_eq!(prose("a\0b", 3), Err(TextError::ControlCharacter));
    }

    #[test]
    fn names_are_trimmed_bounded_and_printable() {
        for (case, text, want) in [
            ("plain", "cells", Ok("cells".to_owned())),
            ("spaces around", "  cells \n", Ok("cells".to_owned())),
            ("any script", "Zelle 細胞 🩸", Ok("Zelle 細胞 🩸".to_owned())),
            ("empty", " ", Err(TextError::Empty)),
            ("too long", "aaaaaaaaaaa", Err(TextError::TooLong(10))),
            ("NUL", "a\0b", Err(TextError::ControlCharacter)),
            ("line break inside", "a\nb", Err(TextError::ControlCharacter)),
        ] {
            assert_eq!(name(text, 10), want, "{case}");
        }
    }

    #[test]
    fn a_nul_is_found_in_keys_and_values() {
        assert!(json_has_nul(&serde_json::json!({"a": [{"b\0": 1}]})));
        assert!(json_has_nul(&serde_json::json!({"a": ["\0"]})));
        assert!(!json_has_nul(&serde_json::json!({"a": ["b", 1, null]})));
    }
}
