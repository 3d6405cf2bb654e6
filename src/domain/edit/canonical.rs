//! One spelling of a value: what is the same must look the same, here and after it came back from a database.

use serde::Serialize;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// Up to here integers and doubles are the same numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value with each number in one spelling: a whole one as an integer, -0.0 as 0 (PostgreSQL's jsonb forgets its
/// sign), the rest as doubles.
#[must_use]
pub fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(canonical_number(&number)),
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, canonical(value))).collect(),
        other => other,
    }
}

fn canonical_number(number: &Number) -> Number {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        Some(double) if double.fract() == 0.0 && double.abs() <= EXACT => Number::from(double as i64),
        Some(double) => Number::from_f64(double).unwrap_or_else(|| number.clone()),
        None => number.clone(),
    }
}

/// What an edit says, in 32 bytes: edits of one dot are the same when these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EditHash(pub [u8; 32]);

impl EditHash {
    /// SHA-256 over the JSON of what the edit does, the keys of each object in order. Values are canonical already.
    #[must_use]
    pub fn of(edit: &impl Serialize) -> Self {
        let mut hash = Sha256::new();
        feed(&mut hash, &serde_json::to_value(edit).unwrap_or_default());
        Self(hash.finalize().into())
    }
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, value) in entries {
                hash.update(Value::from(key.as_str()).to_string());
                feed(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        other => hash.update(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for (value, want) in [
            (json!(-0.0), json!(0)),
            (json!(50.0), json!(50)),
            (json!(-7), json!(-7)),
            (json!(0.1), json!(0.1)),
            (json!(10_000_000_000_000_000_000_u64), json!(1e19)),
            (json!({ "a": [1.0, "1.0", null, true] }), json!({ "a": [1, "1.0", null, true] })),
        ] {
            assert_eq!(canonical(value.clone()), want, "{value}");
            assert_eq!(canonical(canonical(value.clone())), want, "{value} twice");
        }
    }

    #[test]
    fn a_hash_tells_contents_apart_and_nothing_else() {
        let of = |text: &str| EditHash::of(&serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(of(r#"{"a": 1, "b": [1, 2]}"#), of(r#"{"b":[1,2],"a":1}"#));
        let different = [r#"{"a":1}"#, r#"{"a":"1"}"#, r#"{"a":[1]}"#, r#"[["a"],1]"#, r#"["a",[1]]"#, r#"["a,",1]"#];
        for (n, one) in different.iter().enumerate() {
            for other in &different[n + 1..] {
                assert_ne!(of(one), of(other), "{one} and {other}");
            }
        }
    }
}
