//! A PostgreSQL of our own on a free port in a temporary folder, ended with this process however that ends.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use concord::repo::{
    Connect,
    schema::{self, Direction},
};

use super::keeper::free_port;

/// Holds the server's life: when its standard input closes, as when this process is killed, it stops and cleans up.
/// A line on it crashes the server, starts it again, or lets it stand still for a time.
const KEEPER: &str = r#"
exec 3<&0
start() { "$1/postgres" -D "$2/data" >>"$2/log" 2>&1 & server=$!; }
start "$@"
while read -r order <&3; do
  case $order in
    crash) kill -QUIT $server; wait $server ;;
    start) start "$@" ;;
    pause) kill -STOP $server $(pgrep -P $server) ;;
    resume) kill -CONT $server $(pgrep -P $server) ;;
  esac
done
kill -CONT $server $(pgrep -P $server)
kill -INT $server
wait $server
rm -rf "$2"
"#;

pub(crate) struct Postgres {
    port: u16,
    /// Holds its data and its log.
    pub(crate) folder: PathBuf,
    keeper: Mutex<Child>,
}

static SERVER: OnceLock<Postgres> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The shared server, started by the first test that wants it.
fn server() -> &'static Postgres {
    SERVER.get_or_init(|| {
        let server = Postgres::start(&[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")]);
        server.create("concord_template", None);
        // On a thread without a runtime: whoever is first may be inside one.
        let connect = Connect { url: server.url("concord_template"), max_connections: 1, pooled: false };
        let migrated = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(schema::migrate(&connect, Direction::Up))
        });
        migrated.join().unwrap().expect("the schema comes up on PostgreSQL");
        server
    })
}

/// Ends the shared server, if it was started.
pub(crate) fn stop() {
    if let Some(server) = SERVER.get() {
        server.stop();
    }
}

/// The URL of a new database with the schema in it.
pub(crate) fn database() -> String {
    new_database(Some("concord_template"))
}

/// Ends every connection to one of the shared server's databases, as a failing server would.
pub(crate) fn cut_connections(url: &str) {
    server().cut_connections(url.rsplit('/').next().unwrap_or_default());
}

/// The URL of a new, empty database.
pub(crate) fn empty_database() -> String {
    new_database(None)
}

fn new_database(template: Option<&str>) -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server().create(&name, template);
    server().url(&name)
}

impl Postgres {
    /// Starts a server with these settings on top of the defaults of tests.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("concord-pg-").tempdir().unwrap().keep();
        let port = free_port();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let data = folder.join("data");
        let locale = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        run(as_server_user(programs.join("initdb")).arg("--pgdata").arg(&data).args(locale).stdout(Stdio::null()));
        let mut configuration = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\nlog_min_messages = 'warning'\n"
        );
        for (name, value) in settings {
            configuration.push_str(&format!("{name} = '{value}'\n"));
        }
        let file = data.join("postgresql.auto.conf");
        std::fs::write(&file, configuration).unwrap();
        let keeper = as_server_user("sh".into())
            .args(["-c", KEEPER, "keeper"])
            .arg(&programs)
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let server = Self { port, folder, keeper: Mutex::new(keeper) };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() || !self.answers() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(programs().join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--command", sql, &self.url(database)]).stdout(Stdio::null());
        command
    }

    /// The URL of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database.
    pub(crate) fn create(&self, name: &str, template: Option<&str>) {
        let template = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
        run(&mut self.psql("postgres", &format!("CREATE DATABASE {name}{template}")));
    }

    /// Ends every connection to a database, as a failing server would.
    pub(crate) fn cut_connections(&self, database: &str) {
        let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
        run(&mut self.psql("postgres", &sql));
    }

    /// Stops the server as a crash does: at once, connections cut, nothing written down.
    pub(crate) fn crash(&self) {
        self.order("crash");
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < deadline, "PostgreSQL does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the server again after a crash.
    pub(crate) fn come_back(&self) {
        self.order("start");
        self.wait();
    }

    /// Stops the server and all its processes where they are: it listens on, and answers nothing.
    pub(crate) fn pause(&self) {
        self.order("pause");
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        self.order("resume");
    }

    fn order(&self, order: &str) {
        use std::io::Write;
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.stdin.as_mut().expect("the keeper listens"), "{order}").unwrap();
    }

    /// Stops the server and removes its folder.
    pub(crate) fn stop(&self) {
        let mut keeper = self.keeper.lock().unwrap();
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

/// Debian keeps the server's programs out of PATH, in one folder a version: the newest.
pub(crate) fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let in_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let mut places = folders.into_iter().rev().chain(in_path);
    let found = places.find(|place| place.join("initdb").is_file() && place.join("postgres").is_file());
    found.expect("no PostgreSQL server on this machine: run 'make setup'")
}

/// PostgreSQL refuses to run as root.
fn as_server_user(program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir(Path::new("/"));
    command
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn run(command: &mut Command) {
    let output = command.stderr(Stdio::piped()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
