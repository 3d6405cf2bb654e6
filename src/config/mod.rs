//! Configuration: defaults, then the file named by CONCORD_CONFIG, then the environment; then checked as a whole.
//!
//! Every key is one constant below; `docs/configuration.md` says what each means and is checked against them.

mod redis;
mod source;

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, ops::RangeInclusive, path::PathBuf};

pub use redis::RedisAddress;
use source::Source;
pub use source::{ConfigError, Problem};

/// What a running server is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The database: `sqlite://path` or `postgres://…`.
    pub database_url: String,
    /// Most database connections of this process.
    pub database_connections: u32,
    /// Whether a pooler in transaction mode stands in front of the database.
    pub database_pooled: bool,
    /// Where Redis is; none: this process runs alone.
    pub redis: Option<RedisAddress>,
    /// Folder of stored objects.
    pub storage_folder: PathBuf,
    /// Where the API listens.
    pub listen_addr: SocketAddr,
    /// Where metrics are served.
    pub admin_addr: SocketAddr,
    /// Path in front of every route; `/` or `/some/path` without a slash at its end.
    pub http_base_path: String,
    /// The address people reach the server at, base path included, without a slash at its end.
    pub public_url: String,
    /// Origins of other sites whose pages may call the API.
    pub allowed_origins: Vec<String>,
    /// Development or release.
    pub mode: Mode,
    /// What is kept of the event streams.
    pub event_retention: EventRetention,
    /// Filter of the log, as tracing-subscriber's EnvFilter takes it.
    pub log_level: String,
}

/// What is kept of the event streams: an event that is either too old or one too many is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRetention {
    /// How long, in days.
    pub days: u32,
    /// How many of each stream. A project has eight, over which its tasks are spread.
    pub count: u32,
}

/// Days that events may be kept: up to ten years.
const EVENT_DAYS: RangeInclusive<u32> = 1..=3_650;
/// Events of a stream that may be kept. With fewer, a burst of work would make every reconnect a new beginning.
const EVENT_COUNT: RangeInclusive<u32> = 100..=1_000_000_000;

/// How open the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// GraphiQL, introspection, readable log lines.
    Development,
    /// None of these; log lines in JSON.
    Release,
}

/// Every key and its default in words.
pub const KEYS: [(&str, &str); 15] = [
    ("DATABASE_URL", "sqlite://data/concord.db"),
    ("DATABASE_CONNECTIONS", "16"),
    ("DATABASE_POOLER", "none"),
    ("REDIS_URL", "none: this process runs alone"),
    ("STORAGE_URL", "file://data/files"),
    ("LISTEN_ADDR", "127.0.0.1:8080"),
    ("ADMIN_ADDR", "127.0.0.1:9090"),
    ("HTTP_BASE_PATH", "/"),
    ("PUBLIC_URL", "http://LISTEN_ADDR and HTTP_BASE_PATH"),
    ("ALLOWED_ORIGINS", "none"),
    ("CONCORD_MODE", "development on a loopback address, else release"),
    ("EVENT_RETENTION_DAYS", "7"),
    ("EVENT_RETENTION_COUNT", "125000"),
    ("LOG_LEVEL", "info"),
    ("CONCORD_CONFIG", "no file"),
];

impl Config {
    /// Reads the configuration from the environment and the file it names.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong, each with its key.
    pub fn load(environment: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut source = Source::open(environment)?;
        let listen_addr = source.parse("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 8080)));
        let http_base_path = base_path(&mut source);
        let local = format!("http://{listen_addr}{}", http_base_path.trim_end_matches('/'));
        let config = Self {
            database_url: database_url(&mut source),
            database_connections: source
                .parse("DATABASE_CONNECTIONS", NonZeroU32::new(16).unwrap_or(NonZeroU32::MIN))
                .get(),
            database_pooled: database_pooled(&mut source),
            redis: redis(&mut source),
            storage_folder: storage_folder(&mut source),
            admin_addr: source.parse("ADMIN_ADDR", SocketAddr::from(([127, 0, 0, 1], 9090))),
            public_url: public_url(&mut source).unwrap_or(local),
            allowed_origins: allowed_origins(&mut source),
            mode: mode(&mut source, listen_addr),
            event_retention: EventRetention {
                days: source.within("EVENT_RETENTION_DAYS", 7, EVENT_DAYS),
                count: source.within("EVENT_RETENTION_COUNT", 125_000, EVENT_COUNT),
            },
            log_level: source.text("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            listen_addr,
            http_base_path,
        };
        source.finish(config)
    }

    /// The same once its address is bound: a port of 0 lets the system choose one, which the public URL then names.
    #[must_use]
    pub fn bound_to(&self, address: SocketAddr) -> Self {
        let mut config = self.clone();
        if config.listen_addr.port() == 0 {
            config.public_url = config.public_url.replace(&config.listen_addr.to_string(), &address.to_string());
            config.listen_addr = address;
        }
        config
    }
}

fn database_url(source: &mut Source) -> String {
    let url = source.text("DATABASE_URL").unwrap_or_else(|| "sqlite://data/concord.db".to_owned());
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        source.wrong("DATABASE_URL", "must begin with sqlite:// or postgres://");
    }
    url
}

fn database_pooled(source: &mut Source) -> bool {
    match source.text("DATABASE_POOLER").as_deref() {
        None | Some("none") => false,
        Some("transaction") => true,
        Some(_) => {
            source.wrong("DATABASE_POOLER", "must be none or transaction");
            false
        }
    }
}

fn redis(source: &mut Source) -> Option<RedisAddress> {
    let url = source.text("REDIS_URL")?;
    let address = RedisAddress::parse(&url);
    if address.is_none() {
        let message =
            "must be redis://host:port or redis-cluster://host:port,host:port (with TLS rediss://, rediss-cluster://)";
        source.wrong("REDIS_URL", message);
    }
    address
}

fn storage_folder(source: &mut Source) -> PathBuf {
    let url = source.text("STORAGE_URL").unwrap_or_else(|| "file://data/files".to_owned());
    match url.strip_prefix("file://") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => {
            source.wrong("STORAGE_URL", "must be file:// and a folder");
            PathBuf::new()
        }
    }
}

fn base_path(source: &mut Source) -> String {
    let path = source.text("HTTP_BASE_PATH").unwrap_or_else(|| "/".to_owned());
    let trimmed = path.trim_end_matches('/');
    let plain = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if !trimmed.is_empty() && !trimmed.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain)) {
        source.wrong("HTTP_BASE_PATH", "must be / or a path such as /concord, of letters, digits and -_.~");
    }
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

fn public_url(source: &mut Source) -> Option<String> {
    let url = source.text("PUBLIC_URL")?;
    let url = url.trim_end_matches('/').to_owned();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        source.wrong("PUBLIC_URL", "must begin with http:// or https://");
    }
    Some(url)
}

fn allowed_origins(source: &mut Source) -> Vec<String> {
    let text = source.text("ALLOWED_ORIGINS").unwrap_or_default();
    let origins: Vec<String> =
        text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect();
    let looks_right = |origin: &String| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'))
    };
    if !origins.iter().all(looks_right) {
        source.wrong("ALLOWED_ORIGINS", "must be origins such as https://label.example, with commas between");
    }
    origins
}

fn mode(source: &mut Source, listen_addr: SocketAddr) -> Mode {
    match source.text("CONCORD_MODE").as_deref() {
        Some("development") => Mode::Development,
        Some("release") => Mode::Release,
        None if listen_addr.ip().is_loopback() => Mode::Development,
        None => Mode::Release,
        Some(_) => {
            source.wrong("CONCORD_MODE", "must be development or release");
            Mode::Release
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_configured_is_the_embedded_default() {
        let config = load(&[]).unwrap();
        assert_eq!(config.database_url, "sqlite://data/concord.db");
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.mode, Mode::Development);
    }

    #[test]
    fn release_is_the_default_for_others_to_reach() {
        assert_eq!(load(&[("LISTEN_ADDR", "0.0.0.0:80")]).unwrap().mode, Mode::Release);
        let forced = [("LISTEN_ADDR", "0.0.0.0:80"), ("CONCORD_MODE", "development")];
        assert_eq!(load(&forced).unwrap().mode, Mode::Development);
    }

    #[test]
    fn a_port_chosen_by_the_system_is_part_of_the_public_url() {
        let config = load(&[("LISTEN_ADDR", "127.0.0.1:0"), ("HTTP_BASE_PATH", "/label")]).unwrap();
        let bound = config.bound_to(SocketAddr::from(([127, 0, 0, 1], 4321)));
        assert_eq!(bound.public_url, "http://127.0.0.1:4321/label");
        let known = load(&[("LISTEN_ADDR", "127.0.0.1:0"), ("PUBLIC_URL", "https://label.example")]).unwrap();
        assert_eq!(known.bound_to(bound.listen_addr).public_url, "https://label.example");
    }

    #[test]
    fn the_base_path_is_part_of_the_public_url() {
        let config = load(&[("HTTP_BASE_PATH", "/label/ing/")]).unwrap();
        assert_eq!(config.http_base_path, "/label/ing");
        assert_eq!(config.public_url, "http://127.0.0.1:8080/label/ing");
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let error = load(&[
            ("DATABASE_URL", "mysql://x"),
            ("LISTEN_ADDR", "here"),
            ("HTTP_BASE_PATH", "/a b"),
            ("ALLOWED_ORIGINS", "https://a/b"),
            ("CONCORD_MODE", "fast"),
            ("DATABASE_POOLER", "session"),
            ("REDIS_URL", "localhost"),
            ("EVENT_RETENTION_DAYS", "0"),
            ("EVENT_RETENTION_COUNT", "many"),
        ])
        .unwrap_err();
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
        let environment =
            ["LISTEN_ADDR", "HTTP_BASE_PATH", "DATABASE_URL", "DATABASE_POOLER", "REDIS_URL", "ALLOWED_ORIGINS"];
        assert_eq!(keys[..6], environment);
        assert_eq!(keys[6..], ["CONCORD_MODE", "EVENT_RETENTION_DAYS", "EVENT_RETENTION_COUNT"]);
        assert_eq!(error.problems[7].message, "must be from 1 to 3650");
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("concord.toml");
        std::fs::write(&file, "log_level = \"debug\"\ndatabase_connections = 3\n").unwrap();
        let file = file.to_str().unwrap();
        let config = load(&[("CONCORD_CONFIG", file), ("DATABASE_CONNECTIONS", "5")]).unwrap();
        assert_eq!((config.log_level.as_str(), config.database_connections), ("debug", 5));
    }

    #[test]
    fn an_unknown_key_of_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("concord.toml");
        std::fs::write(&file, "log_lvl = \"debug\"\n").unwrap();
        let error = load(&[("CONCORD_CONFIG", file.to_str().unwrap())]).unwrap_err();
        assert_eq!(error.problems[0].key, "log_lvl");
    }
}
