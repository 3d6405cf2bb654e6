//! A real browser without a window, driven over the Chrome DevTools Protocol.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use crate::harness::eventually;

/// What Chromium and its sisters are called.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DEADLINE: Duration = Duration::from_secs(60);

/// One page in a browser of its own; it ends with this value.
pub(crate) struct Browser {
    process: Child,
    page: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// What the browser complained of: errors of scripts, what the policy of the page forbade, files that are missing.
    pub(crate) complaints: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one with an empty page.
    pub(crate) async fn start(http: &reqwest::Client) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process =
            PROGRAMS.iter().find_map(|program| start(program, &profile)).expect("no Chromium: run 'make setup'");
        let lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (send, address) = mpsc::channel();
        // To its end: a browser whose complaints nobody reads stops.
        std::thread::spawn(move || {
            for line in lines {
                if let Some(address) = line.strip_prefix("DevTools listening on ws://") {
                    let _ = send.send(address.split('/').next().unwrap_or_default().to_owned());
                }
            }
        });
        let address = address.recv_timeout(DEADLINE).expect("the browser starts");
        let page = http.put(format!("http://{address}/json/new?about:blank")).send().await.unwrap();
        let page: Value = serde_json::from_str(&page.text().await.unwrap()).unwrap();
        let (page, _) = tokio_tungstenite::connect_async(page["webSocketDebuggerUrl"].as_str().unwrap()).await.unwrap();
        let mut browser = Self { process, page, last_id: 0, complaints: Vec::new(), _profile: profile };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Opens an address.
    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// What an expression of JavaScript gives in the page; null when it fails, as while the page is not there yet.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", parameters).await["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        eventually(expression, async || (self.eval(expression).await == true).then_some(())).await;
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let message = json!({ "id": self.last_id, "method": method, "params": parameters });
        self.page.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let message = timeout(DEADLINE, self.page.next()).await.expect("the browser answers").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == self.last_id {
                return message["result"].clone();
            }
            let is_complaint = message["method"] == "Runtime.exceptionThrown"
                || (message["method"] == "Log.entryAdded" && message["params"]["entry"]["level"] == "error");
            if is_complaint {
                self.complaints.push(message["params"].clone());
            }
        }
    }
}

/// None when there is no such program.
fn start(program: &str, profile: &TempDir) -> Option<Child> {
    let mut command = Command::new(program);
    // It opens nothing but pages of the test: the sandbox, which containers and root do not have, is not missed.
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.arg("--remote-debugging-port=0").arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg("about:blank").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
