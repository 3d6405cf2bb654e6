//! Servers of our own: on free ports, in temporary folders, ended with this process however that ends.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Holds a server's life: when its standard input closes, as when this process is killed, it ends the server and removes its
/// folder. A line on it says what to do with the server.
const KEEPER: &str = r#"
exec 3<&0
folder=$1; shift
start() { "$@" >>"$folder/log" 2>&1 3<&- & server=$!; }
start "$@"
while read -r order <&3; do
  case $order in
    kill) kill -CONT $server; kill -KILL $server; wait $server ;;
    start) start "$@" ;;
    pause) kill -STOP $server ;;
    resume) kill -CONT $server ;;
  esac
  echo "$order" >>"$folder/orders"
done
kill -CONT $server; kill -KILL $server
wait $server
rm -rf "$folder"
"#;

/// A server that keeps its port for all of its lives.
pub(crate) struct Keeper {
    port: u16,
    folder: PathBuf,
    child: Mutex<Child>,
}

impl Keeper {
    /// Starts a server by its command, which listens on `port`, with a folder of its own.
    pub(crate) fn start(name: &str, port: u16, command: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("concord-{name}-")).tempdir().unwrap().keep();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .args(command(&folder))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self { port, folder, child: Mutex::new(keeper.expect("sh starts")) }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until `answers` says so.
    pub(crate) fn wait(&self, answers: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !answers() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server on port {} does not answer:\n{}", self.port, log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server at once.
    pub(crate) fn kill(&self) {
        self.order("kill");
        self.wait(|| TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }

    /// Starts it again.
    pub(crate) fn come_back(&self, answers: impl Fn() -> bool) {
        self.order("start");
        self.wait(answers);
    }

    /// Stops it where it is: it listens on, and answers nothing.
    pub(crate) fn pause(&self) {
        self.order("pause");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.order("resume");
    }

    /// Has the keeper do something, and waits until it is done.
    fn order(&self, order: &str) {
        let mut child = self.child.lock().unwrap();
        let done = || std::fs::read_to_string(self.folder.join("orders")).unwrap_or_default().lines().count();
        let before = done();
        writeln!(child.stdin.as_mut().expect("the keeper listens"), "{order}").unwrap();
        self.wait(|| done() > before);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

/// A port that nothing listens on, below those the system gives to outgoing connections: one of them could take it
/// between the look and the use.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another run at the same time begins elsewhere.
    let begin = std::process::id() * 101;
    let mut ports = (0..PORTS).map(|_| FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS);
    let mut free = ports.by_ref().filter_map(|port| u16::try_from(port).ok());
    free.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
