//! Concord as people run it: the binary, in a process of its own.

use std::process::{Child, Command, Output, Stdio};

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{Database, postgres};

impl Database {
    /// The `concord` binary over this database, with these arguments and nothing of this process's environment.
    pub(crate) fn concord(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concord"));
        command.args(arguments).env_clear().current_dir(self.folder());
        command.env("DATABASE_URL", &self.url).env("STORAGE_URL", "file://files").env("LOG_LEVEL", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What `concord migrate` says.
    pub(crate) async fn migrate(&self) -> Output {
        let mut command = self.concord(&["migrate"]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Starts `concord serve`.
    pub(crate) fn serve(&self) -> Serving {
        let [listen, admin] = [free_address(), free_address()];
        let mut command = self.concord(&["serve"]);
        command.env("LISTEN_ADDR", &listen).env("ADMIN_ADDR", admin).stdout(Stdio::null()).stderr(Stdio::null());
        Serving { child: command.spawn().unwrap(), url: format!("http://{listen}") }
    }
}

fn free_address() -> String {
    format!("127.0.0.1:{}", postgres::free_port())
}

/// A server that ends with this value.
pub(crate) struct Serving {
    child: Child,
    url: String,
}

impl Serving {
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
