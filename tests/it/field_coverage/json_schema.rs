//! Enough of JSON Schema to see that a kind's schema takes what is sound and refuses what is not. A keyword it does not
//! know fails, so that none is passed over.

use serde_json::Value;

/// Whether `value` fits `schema`, a part of `root`; if not, why not.
pub(super) fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let fits_keyword = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "default" | "properties" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                fits(root, root.pointer(pointer).expect("the reference leads somewhere"), value)?;
                true
            }
            "type" => has_type(value, wanted.as_str().unwrap()),
            "required" => elements(wanted).all(|name| value.get(name.as_str().unwrap()).is_some()),
            "additionalProperties" => {
                assert_eq!(wanted, false);
                let known = |name: &String| schema["properties"].get(name).is_some();
                value.as_object().is_none_or(|object| object.keys().all(known))
            }
            "items" => {
                elements(value).try_for_each(|item| fits(root, wanted, item))?;
                true
            }
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
            "uniqueItems" => elements(value).enumerate().all(|(n, item)| !elements(value).take(n).any(|e| e == item)),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap()),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|number| number > wanted.as_f64().unwrap()),
            "exclusiveMaximum" => value.as_f64().is_none_or(|number| number < wanted.as_f64().unwrap()),
            other => panic!("unknown keyword {other} in {schema}"),
        };
        if !fits_keyword {
            return Err(format!("{value} breaks {keyword}: {wanted}"));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut present = properties.filter_map(|(name, schema)| Some((schema, value.get(name)?)));
    present.try_for_each(|(schema, value)| fits(root, schema, value))
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("unknown type {other}"),
    }
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
