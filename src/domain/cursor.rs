//! The position of a reader in a project's event streams.
//!
//! A vector: one position per stream, of one epoch of the installation. Opaque to clients; its text is base64url over
//! the numbers in decimal, joined by dots, so that it stays short and can be read in a log when decoded.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::{ids::ProjectId, limits};

/// Everything at or before `positions[stream]` has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCursor {
    /// The installation's epoch: raised after a restore, which makes older cursors unknown.
    pub epoch: i64,
    /// Whose streams: the end of the project's id, enough to notice a cursor of another project.
    pub project: u32,
    /// By stream number; 0 is the front of a stream.
    pub positions: Vec<i64>,
}

/// The text is not an event cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an event cursor; take one from eventCursor or from an event")]
pub struct CursorError;

impl EventCursor {
    /// A position in the streams of `project`.
    #[must_use]
    pub fn new(epoch: i64, project: ProjectId, positions: Vec<i64>) -> Self {
        Self { epoch, project: tag(project), positions }
    }

    /// Whether this is a position in the streams of `project`.
    #[must_use]
    pub fn is_of(&self, project: ProjectId) -> bool {
        self.project == tag(project)
    }
}

fn tag(project: ProjectId) -> u32 {
    let [.., a, b, c, d] = *project.0.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [self.epoch, i64::from(self.project)].into_iter().chain(self.positions.iter().copied());
        let text = numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(".");
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for EventCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > limits::CURSOR_BYTES {
            return Err(CursorError);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
        let number = |part: &str| part.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(CursorError);
        let mut numbers = text.split('.').map(number);
        let epoch = numbers.next().ok_or(CursorError)??;
        let project = u32::try_from(numbers.next().ok_or(CursorError)??).map_err(|_| CursorError)?;
        let positions = numbers.collect::<Result<Vec<_>, _>>()?;
        if positions.is_empty() { Err(CursorError) } else { Ok(Self { epoch, project, positions }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_itself() {
        let cursor = EventCursor { epoch: 3, project: u32::MAX, positions: vec![0, 12, 9_000_000_000] };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            "".to_owned(),
            "###".to_owned(),
            encoded("1"),
            encoded("1.-2"),
            encoded("1.x"),
            encoded("1.99999999999999999999"),
            "A".repeat(100_000),
        ] {
            assert_eq!(text.parse::<EventCursor>(), Err(CursorError), "{text:.40}");
        }
    }
}
