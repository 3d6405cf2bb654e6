//! The build to come: the same tree with one more migration step (`tests/next.rs`), made by the cargo of this test run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::Database;

/// `concord-next`.
pub(crate) struct NextBuild(PathBuf);

impl NextBuild {
    /// Builds it beside the binary under test, as that one was built.
    pub(crate) async fn make() -> Self {
        let built = tokio::task::spawn_blocking(build).await;
        built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// It over this database, with these arguments.
    pub(crate) fn command(&self, database: &Database, arguments: &[&str]) -> Command {
        database.program(&self.0, arguments)
    }
}

fn build() -> NextBuild {
    if cfg!(feature = "next-schema") {
        panic!("with the feature next-schema this build is the next one: test without it");
    }
    // <target>/<profile>/concord
    let mut folders = Path::new(env!("CARGO_BIN_EXE_concord")).ancestors().skip(1);
    let (out, target) = (folders.next().unwrap(), folders.next().unwrap());
    let profile = match out.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.args(["build", "--locked", "--offline", "--example", "concord-next", "--features", "next-schema"]);
    cargo.args(["--profile", profile, "--target-dir"]).arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test about its own package: build scripts that look at it would run again, here and next time.
    let told = ["OUT_DIR", "CARGO_MANIFEST_", "CARGO_PKG_"];
    for (name, _) in std::env::vars_os() {
        if told.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let again = "cargo build --example concord-next --features next-schema";
    assert!(output.status.success(), "the next build cannot be made; '{again}' shows why:\n{said}");
    let program = out.join("examples").join(format!("concord-next{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "'{again}' made no {}:\n{said}", program.display());
    NextBuild(program)
}
