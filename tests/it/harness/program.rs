//! Programs that others wrote, speaking with a test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;

/// A program that speaks with the test line by line, and ends with this value.
pub(crate) struct Program {
    child: Child,
    hears: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts; when it is missing: run 'make setup'");
        let (hears, says, mut errs) =
            (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            BufReader::new(says).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            errs.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        });
        Self { child, hears, lines, errors: Some(errors) }
    }

    /// The next line it says; none at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Says a line to it.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.hears, "{line}").unwrap();
    }

    /// How it ended, and its errors. It has nothing more to say.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let errors = self.errors.take().map(|errors| errors.join().unwrap()).unwrap_or_default();
        (self.child.wait().unwrap(), errors)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
