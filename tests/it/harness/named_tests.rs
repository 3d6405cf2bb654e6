//! Tests that documents name: each is there.

use std::path::Path;

/// How many tests a text names, as `tests/it/file::name`. Fails when one of them does not exist.
pub(crate) fn tests_named_in(text: &str) -> usize {
    let tests: Vec<&str> = text.split('`').filter(|text| text.contains("::") && text.contains('/')).collect();
    for test in &tests {
        let (file, name) = test.rsplit_once("::").unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(source.contains(&format!("fn {name}(")), "there is no {name} in {file}.rs: {text}");
    }
    tests.len()
}
