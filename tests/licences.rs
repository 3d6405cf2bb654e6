//! Fails for a dependency whose licence we do not accept, and for crates that would bring a second TLS crypto library.
//!
//! Looks at what ends up in the binary or runs to build it, on every platform, not at what only the tests need.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use serde_json::Value;

/// Permissive licences, and MPL-2.0, whose copyleft ends at the file.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// `ring` is the only crypto library for TLS: it needs no cmake and no system library.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"];

#[test]
fn every_dependency_is_accepted() {
    let shipped = shipped_packages(&metadata());
    assert!(shipped.len() > 1, "cargo metadata lists no dependencies");
    let refused: Vec<_> = shipped.iter().filter_map(refusal).collect();
    assert!(refused.is_empty(), "\n{}\n", refused.join("\n"));
}

/// Gives what is wrong with a package, or nothing.
fn refusal(package: &Package) -> Option<String> {
    let Package { name, version, licence } = package;
    if BANNED.contains(&name.as_str()) {
        return Some(format!("{name} {version} is banned: ring is the only crypto library for TLS"));
    }
    match licence.as_deref().map(is_accepted) {
        None => Some(format!("{name} {version} has no licence expression")),
        Some(Ok(true)) => None,
        Some(Ok(false)) => Some(format!("{name} {version} is under {}", licence.as_deref().unwrap_or_default())),
        Some(Err(error)) => Some(format!("{name} {version}: {error}")),
    }
}

// What cargo knows.

struct Package {
    name: String,
    version: String,
    licence: Option<String>,
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed (`make setup` fetches all dependencies):\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("cargo metadata gave no JSON: {error}"))
}

/// Gives the packages that normal and build dependencies lead to from the workspace, without the workspace's own.
fn shipped_packages(metadata: &Value) -> Vec<Package> {
    let by_id = |list: &'static str, path: &Value| -> HashMap<String, Value> {
        let entries = path[list].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| (text(&entry["id"]), entry)).collect()
    };
    let packages = by_id("packages", metadata);
    let nodes = by_id("nodes", &metadata["resolve"]);
    let members: Vec<_> = list(&metadata["workspace_members"]).iter().map(text).collect();

    let mut seen: HashSet<String> = members.iter().cloned().collect();
    let mut open = members;
    let mut shipped = Vec::new();
    while let Some(id) = open.pop() {
        for dependency in list(&nodes[&id]["deps"]) {
            let is_shipped = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let id = text(&dependency["pkg"]);
            if is_shipped && seen.insert(id.clone()) {
                let package = &packages[&id];
                shipped.push(Package {
                    name: text(&package["name"]),
                    version: text(&package["version"]),
                    licence: package["license"].as_str().map(str::to_owned),
                });
                open.push(id);
            }
        }
    }
    shipped.sort_by(|a, b| a.name.cmp(&b.name));
    shipped
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

// Licence expressions (SPDX specification, annex D), and `MIT/Apache-2.0`, which means OR.

/// Tells whether some choice in the expression is on the list.
///
/// # Errors
/// Says where an expression is malformed.
fn is_accepted(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let accepted = any_of(&mut words)?;
    match words.pop() {
        None => Ok(accepted),
        Some(word) => Err(format!("unexpected {word} in {expression}")),
    }
}

/// `a OR b`; binds less than AND. Takes its words from the end of the list.
fn any_of(words: &mut Vec<&str>) -> Result<bool, String> {
    let mut accepted = all_of(words)?;
    while words.pop_if(|word| *word == "OR").is_some() {
        accepted |= all_of(words)?;
    }
    Ok(accepted)
}

fn all_of(words: &mut Vec<&str>) -> Result<bool, String> {
    let mut accepted = one(words)?;
    while words.pop_if(|word| *word == "AND").is_some() {
        accepted &= one(words)?;
    }
    Ok(accepted)
}

fn one(words: &mut Vec<&str>) -> Result<bool, String> {
    match words.pop() {
        Some("(") => {
            let accepted = any_of(words)?;
            words.pop_if(|word| *word == ")").map(|_| accepted).ok_or_else(|| "a parenthesis is not closed".to_owned())
        }
        None | Some(")" | "AND" | "OR" | "WITH") => Err("a licence is missing in the expression".to_owned()),
        Some(licence) if words.pop_if(|word| *word == "WITH").is_some() => {
            let exception = words.pop().ok_or("an exception is missing after WITH")?;
            Ok(ACCEPTED.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        Some(licence) => Ok(ACCEPTED.contains(&licence)),
    }
}

#[test]
fn expressions_are_read_with_their_precedence() {
    for (expression, want) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only / MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only AND LGPL-3.0-only", true),
        ("(MIT OR GPL-3.0-only) AND LGPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
        ("MIT WITH LLVM-exception", false),
        ("GPL-2.0-only WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(is_accepted(expression), Ok(want), "{expression}");
    }
    for expression in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT Apache-2.0", "MIT WITH"] {
        assert!(is_accepted(expression).is_err(), "{expression}");
    }
}

#[test]
fn planted_packages_are_refused() {
    for (name, licence, want) in [
        ("serde", Some("MIT OR Apache-2.0"), None),
        ("copyleft", Some("AGPL-3.0-only"), Some("copyleft 1.0.0 is under AGPL-3.0-only")),
        ("unclear", None, Some("unclear 1.0.0 has no licence expression")),
        ("native-tls", Some("MIT"), Some("native-tls 1.0.0 is banned: ring is the only crypto library for TLS")),
    ] {
        let package =
            Package { name: name.to_owned(), version: "1.0.0".to_owned(), licence: licence.map(str::to_owned) };
        assert_eq!(refusal(&package).as_deref(), want);
    }
}

#[test]
fn only_what_is_shipped_is_looked_at() {
    let dependency = |id: &str, kinds: &[Option<&str>]| {
        let kinds: Vec<_> = kinds.iter().map(|kind| serde_json::json!({ "kind": kind })).collect();
        serde_json::json!({ "pkg": id, "dep_kinds": kinds })
    };
    let packages = ["ours", "normal", "build", "dev", "both", "below"]
        .map(|id| serde_json::json!({ "id": id, "name": id, "version": "1.0.0", "license": "MIT" }));
    let metadata = serde_json::json!({
        "workspace_members": ["ours"],
        "packages": packages,
        "resolve": { "nodes": [
            { "id": "ours", "deps": [
                dependency("normal", &[None]),
                dependency("build", &[Some("build")]),
                dependency("dev", &[Some("dev")]),
                dependency("both", &[Some("dev"), None]),
            ] },
            { "id": "normal", "deps": [dependency("below", &[None])] },
            { "id": "build", "deps": [] },
            { "id": "both", "deps": [dependency("ours", &[None])] },
            { "id": "below", "deps": [] },
        ] },
    });
    let names: Vec<_> = shipped_packages(&metadata).into_iter().map(|package| package.name).collect();
    assert_eq!(names, ["below", "both", "build", "normal"]);
}
