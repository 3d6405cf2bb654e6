//! A Concord of one test's own, in this process, over a real database and real sockets.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use concord::{
    app::{self, Running},
    config::Config,
    repo::Conn,
    service::App,
};
use tempfile::TempDir;

use crate::harness::{coverage, postgres};

/// A new database with the schema in it (SQLite: in a folder of its own).
pub(crate) struct Database {
    pub(crate) url: String,
    /// The Redis beside it.
    redis: Option<String>,
    folder: TempDir,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}", folder.path().join("concord.db").display()), redis: None, folder }
    }

    pub(crate) fn postgres() -> Self {
        Self::at(postgres::database())
    }

    /// The same, and a Redis at this URL that servers over it use.
    pub(crate) fn beside(self, redis: String) -> Self {
        Self { redis: Some(redis), ..self }
    }

    /// Where that is.
    pub(crate) fn redis_url(&self) -> String {
        self.redis.clone().expect("there is a Redis beside it")
    }

    /// One that is there already, on a server of the test's own.
    pub(crate) fn at(url: String) -> Self {
        Self { url, redis: None, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// A folder of the test's own, gone at its end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another one of the same kind, without the schema.
    pub(crate) fn empty_sibling(&self) -> Self {
        if self.is_sqlite() {
            return Self::sqlite();
        }
        Self::at(postgres::empty_database())
    }
}

/// A running Concord and a client for it.
pub(crate) struct TestApp {
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
    pub(crate) database: Database,
    /// The sign-in link of the first start.
    pub(crate) first_link: Option<String>,
}

impl TestApp {
    /// With the defaults of development. What the server does by itself has not begun: a test says when, see
    /// `running.work()` and [`TestApp::reap`].
    pub(crate) async fn new(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// With these keys of the configuration.
    pub(crate) async fn with(database: Database, keys: &[(&str, &str)]) -> Self {
        let files = format!("file://{}", storage_folder(&database).display());
        let defaults = [
            ("DATABASE_URL", database.url.as_str()),
            ("STORAGE_URL", &files),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("ADMIN_ADDR", "127.0.0.1:0"),
        ];
        let redis = database.redis.as_ref().map(|redis| ("REDIS_URL", redis.as_str()));
        let pairs =
            defaults.iter().chain(&redis).chain(keys).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let config = Config::load(pairs.collect::<BTreeMap<_, _>>()).expect("the test's configuration is right");
        let running = app::start(&config, Some(coverage::recorder())).await.expect("Concord starts");
        let first_link = running.open().await.expect("Concord opens").map(|link| link.url);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { running, http, database, first_link }
    }

    /// The use cases behind the doors.
    pub(crate) fn use_cases(&self) -> &Arc<App> {
        self.running.server.app()
    }

    /// The address of a path under the public URL.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.use_cases().public_url)
    }

    /// The address of a path on the admin address.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.admin_address)
    }

    /// Where the bytes of assets are.
    pub(crate) fn storage_folder(&self) -> PathBuf {
        storage_folder(&self.database)
    }

    /// The names of all files in the storage, half-written ones too.
    pub(crate) fn stored_files(&self) -> Vec<String> {
        files_below(&self.storage_folder())
    }

    /// Moves the one clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.use_cases().db.clock().advance(by);
    }

    /// SQL statements so far; take the difference around what is to be counted.
    pub(crate) fn statements(&self) -> u64 {
        self.use_cases().db.statements()
    }

    /// Runs SQL behind Concord's back.
    pub(crate) async fn sql(&self, sql: &str) {
        use sea_orm::ConnectionTrait;
        self.use_cases().db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn storage_folder(database: &Database) -> PathBuf {
    database.folder().join("files")
}

fn files_below(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] }).collect()
}
