//! For tests: how often a law is tried.

use proptest::prelude::ProptestConfig;

/// As often as the variable `CONCORD_CASES` says, else 10,000 times.
pub(in crate::domain) fn many() -> ProptestConfig {
    let asked = std::env::var("CONCORD_CASES").ok().map(|cases| cases.parse().expect("CONCORD_CASES is a number"));
    ProptestConfig { cases: asked.unwrap_or(10_000), failure_persistence: None, ..ProptestConfig::default() }
}
