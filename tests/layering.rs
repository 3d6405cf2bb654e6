//! Reads every file under `src/` and fails where a room uses one that it may not, or a crate that is not its own.
//!
//! The rules are the tables below (DESIGN.md, section 2). A scanner, not a compiler: it sees paths in code outside
//! comments and strings, follows `crate`, `self` and `super`, and does not know what other crates re-export.

use std::fs;
use std::path::{Path, PathBuf};

use scanner::{UsedPath, scan};

#[path = "layering/scanner.rs"]
mod scanner;

/// The rooms from left to right. A room uses those left of its own row, not its neighbours.
const ROWS: &[&[&str]] = &[
    &["domain", "kind"],
    &["repo"],
    &["backend"],
    &["live"],
    &["format", "service"],
    &["worker", "graphql"],
    &["http"],
    &["cli", "app"],
];

/// Rooms outside the rows; only [`FOR_ALL`] and [`ALSO`] say who uses them and what they use.
const BESIDE: &[&str] = &["config", "telemetry", "validate"];

/// Every room but `validate` uses these.
const FOR_ALL: &[&str] = &["config", "telemetry"];

/// (room, what it uses besides).
const ALSO: &[(&str, &str)] = &[("kind", "domain"), ("cli", "app"), ("cli", "validate"), ("telemetry", "config")];

/// (crate, the modules that name it). `migration` is a package of its own, outside `src/`; the messages tell it.
const ONLY: &[(&str, &[&str])] = &[
    ("sea_orm", &["repo", "migration"]),
    ("sea_orm_migration", &["repo", "migration"]),
    ("entity", &["repo", "migration"]),
    ("sqlx", &["repo"]),
    ("async_graphql", &["graphql", "http::graphql"]),
    ("async_graphql_value", &["graphql"]),
    ("axum", &["http"]),
    ("deadpool", &["backend"]),
    ("deadpool_redis", &["backend"]),
];

/// (crate, the rooms that do not know it).
const NEVER: &[(&str, &[&str])] = &[("tokio", &["domain", "kind"])];

/// What `main.rs` uses of the library.
const BINARY_USES: &str = "cli";

#[test]
fn every_room_uses_only_what_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut breaches = Vec::new();
    for path in rust_files(&root) {
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        breaches.extend(breaches_in(&name, &source));
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Gives the Rust files below a folder, in the order of their names.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

// The rules.

/// Gives a line for each breach in the file `name` (below `src/`).
fn breaches_in(name: &str, source: &str) -> Vec<String> {
    let module = module_of(name);
    if let Some(room) = module.first()
        && !is_room(room)
    {
        return vec![format!("src/{name}: {room} is no room of the house, see the tables of tests/layering.rs")];
    }
    let scan = scan(source);
    let mut breaches: Vec<String> = Vec::new();
    if name == "lib.rs" {
        for (line, declared) in scan.modules.iter().filter(|(_, declared)| !is_room(declared)) {
            breaches.push(format!("src/{name}:{line} declares {declared}: no room of the house"));
        }
    }
    for used in &scan.paths {
        let broken = match resolve(used, &module) {
            Target::Crate(krate) if name == "main.rs" && krate == env!("CARGO_PKG_NAME") => breach_of_binary(used),
            Target::Crate(krate) => breach_of_crate(krate, &module, used),
            Target::Room(room) => module.first().and_then(|from| breach_of_room(from, &room)),
            Target::Root => (!module.is_empty()).then(|| format!("{used}: name the room it is from")),
        };
        if let Some(broken) = broken {
            breaches.push(format!("src/{name}:{} uses {broken}", used.line));
        }
    }
    breaches.dedup();
    breaches
}

/// Gives the modules that lead to a file: none for the roots, `[service, task]` for `service/task/mod.rs`.
fn module_of(name: &str) -> Vec<String> {
    let mut module: Vec<_> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(name, "lib.rs" | "main.rs") || name.ends_with("/mod.rs") {
        module.pop();
    }
    module
}

fn is_room(name: &str) -> bool {
    row_of(name).is_some() || BESIDE.contains(&name)
}

fn row_of(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

fn may_use(from: &str, to: &str) -> bool {
    from == to
        || ALSO.contains(&(from, to))
        || (FOR_ALL.contains(&to) && row_of(from).is_some())
        || matches!((row_of(from), row_of(to)), (Some(from), Some(to)) if to < from)
}

fn breach_of_room(from: &str, to: &str) -> Option<String> {
    if !is_room(to) {
        return Some(format!("crate::{to}: no room of the house, name the one it is from"));
    }
    if may_use(from, to) {
        return None;
    }
    let rooms = ROWS.iter().copied().flatten().chain(BESIDE);
    let allowed: Vec<_> = rooms.copied().filter(|room| *room != from && may_use(from, room)).collect();
    let allowed = if allowed.is_empty() { "no other room".to_owned() } else { allowed.join(", ") };
    Some(format!("{to}: {from} may use {allowed}"))
}

fn breach_of_crate(krate: &str, module: &[String], used: &UsedPath) -> Option<String> {
    let here = [module, &used.inside].concat().join("::");
    let lies_in =
        |places: &[&str]| places.iter().any(|place| here == *place || here.starts_with(&format!("{place}::")));
    if let Some((_, places)) = ONLY.iter().find(|(name, _)| *name == krate)
        && !lies_in(places)
    {
        return Some(format!("{krate}: only {}", places.join(", ")));
    }
    if let Some((_, places)) = NEVER.iter().find(|(name, _)| *name == krate)
        && lies_in(places)
    {
        return Some(format!("{krate}: not {}", places.join(", ")));
    }
    None
}

fn breach_of_binary(used: &UsedPath) -> Option<String> {
    let uses_the_one = used.segments.get(1).is_some_and(|room| room == BINARY_USES);
    (!uses_the_one).then(|| format!("{used}: the binary uses only {BINARY_USES}"))
}

enum Target<'a> {
    /// First module below the root of this crate.
    Room(String),
    /// The root itself: `crate::*`, `use crate as c`.
    Root,
    /// Another crate, or a name that the file brought into scope.
    Crate(&'a str),
}

/// Follows `crate`, `self` and `super` from the module that holds the path.
fn resolve<'a>(used: &'a UsedPath, module: &[String]) -> Target<'a> {
    let mut base: Vec<_> = module.iter().chain(&used.inside).collect();
    let mut rest = used.segments.iter().peekable();
    match rest.peek().map(|head| head.as_str()) {
        Some("crate") => {
            base.clear();
            rest.next();
        }
        Some("self") => {
            rest.next();
        }
        Some("super") => {}
        _ => return Target::Crate(&used.segments[0]),
    }
    while rest.next_if(|segment| *segment == "super").is_some() {
        base.pop();
    }
    let first_below_root = base.into_iter().chain(rest).next();
    match first_below_root.map(String::as_str) {
        None | Some("*" | "self") => Target::Root,
        Some(room) => Target::Room(room.to_owned()),
    }
}

// Its own tests.

#[test]
fn a_breach_names_the_line_and_who_may() {
    for (file, source, want) in [
        (
            "service/task.rs",
            "//! Doc.\n\nuse crate::http::Router;",
            "src/service/task.rs:3 uses http: service may use domain, kind, repo, backend, live, config, telemetry",
        ),
        ("service/task.rs", "use sea_orm::Set;", "src/service/task.rs:1 uses sea_orm: only repo, migration"),
        ("domain/ids.rs", "#[tokio::test]", "src/domain/ids.rs:1 uses tokio: not domain, kind"),
        ("validate/mod.rs", "use crate::config;", "src/validate/mod.rs:1 uses config: validate may use no other room"),
        (
            "repo/mod.rs",
            "use crate::App;",
            "src/repo/mod.rs:1 uses crate::App: no room of the house, name the one it is from",
        ),
        ("main.rs", "use concord::app::App;", "src/main.rs:1 uses concord::app::App: the binary uses only cli"),
    ] {
        assert_eq!(breaches_in(file, source), [want]);
    }
}

#[test]
fn planted_breaches_are_found() {
    for (name, file, source, want) in [
        ("room to the right", "service/task.rs", "use crate::http::Router;", "1 uses http"),
        ("neighbour", "worker/mod.rs", "\nuse crate::graphql;", "2 uses graphql"),
        ("domain uses kind", "domain/merge.rs", "use crate::kind::K;", "1 uses kind"),
        ("validate is the command line's", "http/mod.rs", "fn f() { crate::validate::run() }", "1 uses validate"),
        ("config stands alone", "config/mod.rs", "use crate::domain::Limits;", "1 uses domain"),
        (
            "group over lines",
            "live/hub.rs",
            "use crate::{\n    repo::{Db, Txn},\n    http::{self, x as y},\n};",
            "3 uses http",
        ),
        ("group without a head", "repo/mod.rs", "use {std::fmt, crate::live::Hub};", "1 uses live"),
        ("path in a body", "live/mod.rs", "fn f() -> u8 {\n    crate::service::N\n}", "2 uses service"),
        ("path in a macro", "repo/mod.rs", "macro_rules! m { () => { $crate::live::x() } }", "1 uses live"),
        ("path in an attribute", "repo/mod.rs", "#[crate::live::x] fn f() {}", "1 uses live"),
        ("climbing", "repo/task/find.rs", "use super::super::super::live::Hub;", "1 uses live"),
        (
            "climbing out of an inline module",
            "repo/mod.rs",
            "mod tests {\n    use super::super::live;\n}",
            "2 uses live",
        ),
        ("climbing after an inline module", "repo/mod.rs", "mod tests {}\nuse super::live;", "2 uses live"),
        ("climbing by self", "repo/mod.rs", "use self::super::live;", "1 uses live"),
        ("all of the root", "repo/mod.rs", "use crate::*;", "1 uses crate::*"),
        ("all of the root from below", "repo/mod.rs", "use super::*;", "1 uses super::*"),
        ("the root by another name", "repo/mod.rs", "use crate::{self as root};", "1 uses crate::self"),
        ("sea-orm as a whole", "service/task.rs", "use sea_orm as orm;", "1 uses sea_orm"),
        ("sea-orm from the root", "service/task.rs", "fn f(x: ::sea_orm::Value) {}", "1 uses sea_orm"),
        ("sea-orm by extern", "lib.rs", "extern crate sea_orm;", "1 uses sea_orm"),
        ("sqlx in the binary", "main.rs", "fn main() { sqlx::x() }", "1 uses sqlx"),
        ("entity in a type", "backend/queue/sql.rs", "type T = Vec<entity::task::Model>;", "1 uses entity"),
        ("entity in a range", "backend/mod.rs", "fn f() { g(0..entity::N) }", "1 uses entity"),
        ("async-graphql in http", "http/health.rs", "use async_graphql::Request;", "1 uses async_graphql"),
        (
            "async-graphql in a derive",
            "domain/ids.rs",
            "#[derive(async_graphql::Enum)] enum E {}",
            "1 uses async_graphql",
        ),
        ("axum in graphql", "graphql/context.rs", "use axum::http::HeaderMap;", "1 uses axum"),
        ("tokio in kind", "kind/mask.rs", "async fn t() { tokio::task::yield_now().await }", "1 uses tokio"),
        ("unknown module", "lib.rs", "pub mod domain;\nmod util { fn f() {} }", "2 declares util"),
        ("after a quote in a character", "repo/mod.rs", "const Q: char = '\\''; use crate::live;", "1 uses live"),
        (
            "after a string",
            "repo/mod.rs",
            r##"const S: &str = "\""; const R: &str = r#"""#; use crate::live;"##,
            "1 uses live",
        ),
        ("after a lifetime", "repo/mod.rs", "fn f<'a>(x: &'a crate::live::Hub) {}", "1 uses live"),
        ("after a comment", "repo/mod.rs", "/* // */ use crate::live; // live", "1 uses live"),
    ] {
        let found = breaches_in(file, source);
        assert!(matches!(&found[..], [one] if one.starts_with(&format!("src/{file}:{want}"))), "{name}: {found:?}");
    }
}

#[test]
fn an_unknown_room_is_found_by_its_file() {
    for file in ["util.rs", "common/mod.rs", "bin/other.rs"] {
        assert_eq!(breaches_in(file, "").len(), 1, "{file}");
    }
}

#[test]
fn what_is_allowed_or_no_code_is_left_alone() {
    for (name, file, source) in [
        ("rooms to the left", "http/router.rs", "use crate::{domain::ids, graphql::Schema, service};"),
        ("for all", "domain/mod.rs", "use crate::{config::Hot, telemetry};"),
        ("kind uses domain", "kind/mod.rs", "use crate::domain::template::Tool;"),
        ("the command line uses app and validate", "cli/serve.rs", "use crate::{app::App, validate};"),
        ("own room", "repo/task/find.rs", "use super::super::scope; use crate::repo::Db; use self::x::*;"),
        ("parent in the room", "repo/task.rs", "use super::*;"),
        (
            "parent of an inline module",
            "domain/mod.rs",
            "mod t { use super::*; fn f() { super::x() } } fn g() { self::t::f() }",
        ),
        ("crates in their rooms", "repo/mod.rs", "use sea_orm::Set; use entity::task; use sqlx::Row;"),
        (
            "async-graphql at the socket",
            "http/graphql/sse.rs",
            "use async_graphql::Data; use axum::Router; use tokio::sync;",
        ),
        ("async-graphql in the handler", "http/graphql.rs", "use async_graphql::Data;"),
        ("binary", "main.rs", "fn main() { concord::cli::run(); std::process::exit(1) }"),
        ("modules at the root", "lib.rs", "//! Doc.\npub mod domain;\nmod repo;"),
        ("line comments", "repo/mod.rs", "//! crate::live\n/// [`crate::live::Hub`]\nfn f() {} // use axum::x;"),
        ("block comments", "repo/mod.rs", "/* crate::live /* nested */ axum::x */ fn f() {}"),
        ("strings", "repo/mod.rs", r#"const S: &[&str] = &["crate::live \" axum::x", r"axum::y\", "axum::z"];"#),
        ("raw and byte strings", "repo/mod.rs", r##"const S: &[u8] = br#"" axum::x "#; const T: &[u8] = b"axum::y";"##),
        ("characters", "repo/mod.rs", "const C: [char; 3] = ['\"', '\\'', '\\u{22}']; // axum::x \""),
        ("names alike", "service/x.rs", "fn f(axum: T) { axum.run(); a::axum::b(); axum_like::f(); let entity = 1; }"),
        ("method and associated name alike", "service/x.rs", "fn f() { x.entity::<T>(); <T as X>::entity::y() }"),
        ("raw name", "repo/mod.rs", "fn r#use(r#mod: u8) -> u8 { r#mod }"),
        ("capture in a type", "repo/mod.rs", "fn f<'a>() -> impl Sized + use<'a> {}"),
        ("visibility", "repo/mod.rs", "pub(crate) fn f() {} pub(in crate::repo) fn g() {}"),
        ("validate alone", "validate/mod.rs", "use serde_json::Value; use std::io;"),
        ("empty", "kind/mod.rs", ""),
    ] {
        assert_eq!(breaches_in(file, source), Vec::<String>::new(), "{name}");
    }
}
