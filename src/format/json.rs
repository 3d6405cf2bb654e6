//! JSON in data sets: what is wrong with it, and where, in words for whoever made the file.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{domain::limits, format::Fault};

/// Reads one value. `at` is where it stands in the file, `annotations[7]`; empty for one that is a record.
///
/// # Errors
/// The first [`Fault`], its field below `at`.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], at: &str) -> Result<T, Fault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| fault(at, format!("is no UTF-8 from byte {} on", error.valid_up_to() + 1)))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| fault(&below(at, error.path()), sentence(error.inner())))?;
    json.end().map_err(|error| fault(at, sentence(&error)))?;
    Ok(value)
}

/// A fault whose texts are no longer than those of any error: both may quote the file.
pub(super) fn fault(field: &str, message: impl Into<String>) -> Fault {
    Fault { field: shortened(field.to_owned()), message: shortened(message.into()) }
}

fn below(at: &str, path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    match path.as_str() {
        "." => at.to_owned(),
        _ if at.is_empty() || path.starts_with('[') => format!("{at}{path}"),
        _ => format!("{at}.{path}"),
    }
}

/// The message without a place that says nothing: a value of the wrong type has a field, and the line is always 1.
fn sentence(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match (message.strip_suffix(&place), error.classify()) {
        (None, _) => message,
        (Some(message), Category::Data) => message.to_owned(),
        (Some(message), _) => format!("{message} at column {}", error.column()),
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(limits::MESSAGE_CHARS) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        #[expect(dead_code, reason = "only its type is asked for")]
        numbers: Vec<i32>,
    }

    #[test]
    fn a_fault_names_its_place_and_is_short() {
        let long = format!("{{\"numbers\": [1, \"{}\"]}}", "é".repeat(10_000));
        for (at, text, field, message) in [
            ("", "{\"numbers\": [1, true]}", "numbers[1]", "invalid type: boolean `true`, expected i32"),
            ("a[7]", "{\"numbers\": [1, true]}", "a[7].numbers[1]", "invalid type: boolean `true`, expected i32"),
            ("", "{\"numbers\": []}, 1", "", "trailing characters at column 16"),
            ("", "{\"numbers\"", "", "EOF while parsing an object at column 10"),
            ("", "{}", "", "missing field `numbers`"),
            ("a[7]", "{}", "a[7]", "missing field `numbers`"),
            ("", "{\"numbers\": [1], \"b\": 2}", "b", "unknown field `b`, expected `numbers`"),
            ("", "[1]", "[0]", "invalid type: integer `1`, expected a sequence"),
            ("a[7]", &long, "a[7].numbers[1]", "invalid type: string \"é"),
        ] {
            let found = parse::<Thing>(text.as_bytes(), at).unwrap_err();
            assert_eq!(found.field, field, "{text:.40}");
            assert!(found.message.starts_with(message), "{text:.40}: {}", found.message);
            assert!(found.message.chars().count() <= limits::MESSAGE_CHARS, "{text:.40}");
        }
        let found = parse::<Thing>(b"{\"numbers\": [\"\xff\"]}", "").unwrap_err();
        assert_eq!((found.field.as_str(), found.message.as_str()), ("", "is no UTF-8 from byte 15 on"));
    }
}
