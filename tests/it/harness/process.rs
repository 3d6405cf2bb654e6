//! Concord as people run it: the binary, in a process of its own.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{Database, keeper, wait_until};

impl Database {
    /// The `concord` binary over this database, with these arguments and nothing of this process's environment.
    pub(crate) fn concord(&self, arguments: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_concord")), arguments)
    }

    /// Another build of Concord over this database, in the same way.
    pub(crate) fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir(self.folder());
        command.env("DATABASE_URL", &self.url).env("STORAGE_URL", "file://files").env("LOG_LEVEL", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What `concord migrate` says.
    pub(crate) async fn migrate(&self) -> Output {
        output_of(self.concord(&["migrate"])).await
    }

    /// Starts `concord serve`.
    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.concord(&["serve"]))
    }
}

/// Runs a command to its end.
pub(crate) async fn output_of(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn free_address() -> String {
    format!("127.0.0.1:{}", keeper::free_port())
}

/// A server that ends with this value.
pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
}

impl Serving {
    /// Starts a server by its command, on addresses of its own.
    pub(crate) fn start(mut command: Command) -> Self {
        let [listen, admin] = [free_address(), free_address()];
        command.env("LISTEN_ADDR", &listen).env("ADMIN_ADDR", admin).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), url: format!("http://{listen}") }
    }

    /// Sends the process a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "no SIG{name}");
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_until("the server to end", async || child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }

    /// Whether it takes requests.
    pub(crate) async fn is_ready(&self) -> bool {
        self.readiness().await.is_some_and(|(status, _)| status == StatusCode::OK)
    }

    /// Ends the process at once, with nothing put in order.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Status and text of a GET; nothing while nobody listens.
    pub(crate) async fn get(&self, path: &str) -> Option<(StatusCode, String)> {
        let response = reqwest::get(format!("{}{path}", self.url)).await.ok()?;
        let status = response.status();
        Some((status, response.text().await.ok()?))
    }

    /// Status and reason of `/readyz`.
    pub(crate) async fn readiness(&self) -> Option<(StatusCode, Value)> {
        let (status, text) = self.get("/readyz").await?;
        Some((status, serde_json::from_str::<Value>(&text).ok()?["reason"].clone()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
