//! The other processes of these loads: this program again, under the name of the part it plays. They are told what to do
//! in lines on their standard input, answer in lines on their standard output, and end with their input.

use std::{
    io::{BufRead, Write},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::{reference, sockets};

/// Stands before the name of a part in the first argument.
const PREFIX: &str = "part:";

/// Plays the part that this process was started for; false: it was started for none.
pub(crate) fn play() -> bool {
    let Some(part) = std::env::args().nth(1).and_then(|first| Some(first.strip_prefix(PREFIX)?.to_owned())) else {
        return false;
    };
    match part.as_str() {
        "sockets" => sockets::play(),
        "send" => reference::play_send(),
        "tungstenite" => reference::play_tungstenite(),
        _ => panic!("there is no part {part}"),
    }
    true
}

/// The lines of standard input, as they come.
pub(super) fn lines_in() -> mpsc::UnboundedReceiver<String> {
    let (given, taken) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.map(|line| given.send(line)).is_err() {
                break;
            }
        }
    });
    taken
}

/// Says a line to whoever started this part.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever started it may be gone; its input ends then, too.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A part that another process plays; ended with this.
pub(super) struct Part {
    process: Child,
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Part {
    pub(super) fn start(name: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(format!("{PREFIX}{name}")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = std::io::BufReader::new(process.stdout.take().unwrap());
        let (given, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if given.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, input, lines }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the part listens");
    }

    /// The next line it says; none in this time.
    pub(super) async fn hear(&mut self, patience: Duration) -> Option<String> {
        let line = timeout(patience, self.lines.recv()).await.ok()?;
        Some(line.expect("the part goes on"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
