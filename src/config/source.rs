//! Where values come from, and the collecting of what is wrong with them.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

use crate::config::KEYS;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key at fault.
    pub key: String,
    /// What to do instead.
    pub message: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Each with its key.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong:")?;
        self.problems.iter().try_for_each(|Problem { key, message }| write!(f, "\n  {key} {message}"))
    }
}

pub(super) struct Source {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Source {
    /// Opens the file that CONCORD_CONFIG names, if it does. Its keys are those of the environment in lower case.
    pub(super) fn open(environment: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut source = Self { environment, file: BTreeMap::new(), problems: Vec::new() };
        if let Some(path) = source.text("CONCORD_CONFIG") {
            match read(&path) {
                Ok(table) => source.take(table),
                Err(message) => source.wrong("CONCORD_CONFIG", &message),
            }
        }
        Ok(source)
    }

    fn take(&mut self, table: toml::Table) {
        for (key, value) in table {
            let name = key.to_uppercase();
            if name == "CONCORD_CONFIG" || !KEYS.iter().any(|(known, _)| *known == name) {
                self.wrong(&key, "is not a key of the configuration");
                continue;
            }
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Array(items) => items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(","),
                other => other.to_string(),
            };
            self.file.insert(name, text);
        }
    }

    /// The value of a key, when it is set to something.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let value = self.environment.get(key).filter(|value| !value.is_empty()).or_else(|| self.file.get(key));
        value.cloned()
    }

    /// The value of a key, parsed, or `default`.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&mut self, key: &str, default: T) -> T {
        match self.text(key).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.wrong(key, &error.to_string());
                default
            }
        }
    }

    /// The number of a key, or `default`.
    pub(super) fn within(&mut self, key: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let number = self.parse(key, default);
        if !range.contains(&number) {
            self.wrong(key, &format!("must be from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn wrong(&mut self, key: &str, message: &str) {
        self.problems.push(Problem { key: key.to_owned(), message: message.to_owned() });
    }

    pub(super) fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigError { problems: self.problems }) }
    }
}

fn read(path: &str) -> Result<toml::Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    text.parse().map_err(|error: toml::de::Error| format!("{path}: {error}"))
}
