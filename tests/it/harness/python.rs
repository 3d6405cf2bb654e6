//! The Python of `tests/python`, with what others read our files by.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use crate::harness::output_of;

/// What a script of `tests/python` did.
pub(crate) struct Script {
    pub(crate) succeeded: bool,
    /// What it printed; when it failed, its errors behind.
    pub(crate) text: String,
}

/// The command of a script of `tests/python`.
pub(crate) fn python_command(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let read = |file: &str| fs::read(folder.join(file)).ok();
    let installed = read(".venv/requirements.txt");
    assert!(installed.is_some(), "tests/python/.venv is missing or not whole: run 'make setup'");
    assert!(installed == read("requirements.txt"), "tests/python/.venv is an old one: run 'make setup'");
    let mut command = Command::new(folder.join(".venv/bin/python"));
    command.arg(folder.join(script));
    command
}

/// Runs a script of `tests/python`.
pub(crate) async fn python(script: &str, arguments: &[&Path]) -> Script {
    let mut command = python_command(script);
    command.args(arguments.iter().map(|argument| argument.as_ref() as &OsStr));
    let output = output_of(command).await;
    let mut text = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    Script { succeeded: output.status.success(), text }
}
