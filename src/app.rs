//! The composition root: from a configuration to a server that runs. The only place that picks an implementation.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    backend::{
        bus::{Alone, Bus, RedisBus},
        presence::{DegradablePresence, EmbeddedPresence, PresenceStore, RedisPresence},
        queue::{ClaimQueue, RedisQueue, SqlQueue},
        redis::Redis,
        session::{DegradableSessions, EmbeddedSessions, RedisSessions, SessionStore},
        storage::FileStorage,
    },
    config::Config,
    graphql::{Api, OnResolve, Options},
    http::{self, Server},
    repo::{
        Conn, Connect, Db,
        schema::{self, Direction, Fit},
    },
    service::{App, Backends, sign_in, user},
    telemetry::Metrics,
    worker,
};

/// How long a server in release mode still takes requests after it turned unready: load balancers have to notice first.
const LEAVE: Duration = Duration::from_secs(5);
/// How long requests that run may go on after the doors were closed. With [`LEAVE`] well below the 30 s that Kubernetes
/// gives.
const DRAIN: Duration = Duration::from_secs(20);
/// How long closing the database's connections may take.
const CLOSE: Duration = Duration::from_secs(2);
/// How often a server that waits for its schema looks again.
const SCHEMA_POLL: Duration = Duration::from_secs(1);

/// A server with its doors open.
#[derive(Debug)]
pub struct Running {
    /// The handlers' state.
    pub server: Arc<Server>,
    /// Where the API is.
    pub address: SocketAddr,
    /// Where metrics are.
    pub admin_address: SocketAddr,
    leave: Duration,
    stop: watch::Sender<bool>,
    doors: JoinHandle<std::io::Result<()>>,
    workers: OnceLock<JoinHandle<()>>,
}

/// How to connect to the configured database.
#[must_use]
pub fn connect(config: &Config) -> Connect {
    Connect {
        url: config.database_url.clone(),
        max_connections: config.database_connections,
        pooled: config.database_pooled,
    }
}

/// The use cases over the configured backends, for the command line. SQLite is brought up to date by itself.
///
/// # Errors
/// When a backend cannot be opened.
pub async fn use_cases(config: &Config) -> anyhow::Result<Arc<App>> {
    let connect = connect(config);
    if sqlite_path(&connect.url).is_some() {
        make_sqlite_folder(&connect)?;
        migrate_unless_newer(&connect).await?;
    }
    let db = Db::connect(&connect).await.context("cannot open the database (DATABASE_URL)")?;
    let storage = FileStorage::open(config.storage_folder.clone()).await;
    let storage = storage.with_context(|| format!("cannot open the storage {}", config.storage_folder.display()))?;
    let metrics = Metrics::new()?;
    let redis = config.redis.as_ref().map(Redis::new).transpose().context("cannot use Redis (REDIS_URL)")?;
    let backends = Backends {
        storage: Arc::new(storage),
        queue: queue(&db, redis.as_ref(), &metrics),
        sessions: sessions(&db, redis.as_ref()),
        presence: presence(&db, redis.as_ref()),
        bus: bus(redis.as_ref()),
        redis,
    };
    Ok(Arc::new(App::new(db, backends, config.public_url.clone(), config.event_retention, metrics)))
}

fn queue(db: &Db, redis: Option<&Redis>, metrics: &Metrics) -> Arc<dyn ClaimQueue> {
    match redis {
        Some(redis) => Arc::new(RedisQueue::new(redis.clone(), db.clone(), metrics.clone())),
        None => Arc::new(SqlQueue),
    }
}

fn bus(redis: Option<&Redis>) -> Arc<dyn Bus> {
    match redis {
        Some(redis) => Arc::new(RedisBus::new(redis.clone())),
        None => Arc::new(Alone),
    }
}

fn sessions(db: &Db, redis: Option<&Redis>) -> Arc<dyn SessionStore> {
    let (time, offset) = (db.clone(), db.clone());
    let alone = EmbeddedSessions::new(move || time.clock().process_now());
    let Some(redis) = redis else { return Arc::new(alone) };
    let shared = RedisSessions::new(redis.clone(), move || offset.clock().offset());
    Arc::new(DegradableSessions::new(shared, alone))
}

fn presence(db: &Db, redis: Option<&Redis>) -> Arc<dyn PresenceStore> {
    let (time, offset) = (db.clone(), db.clone());
    let alone = EmbeddedPresence::new(move || time.clock().process_now());
    let Some(redis) = redis else { return Arc::new(alone) };
    let shared = RedisPresence::new(redis.clone(), move || offset.clock().offset());
    Arc::new(DegradablePresence::new(shared, alone))
}

/// Makes the folder of a SQLite database: the file itself is made when it is opened.
///
/// # Errors
/// When it cannot be made.
pub fn make_sqlite_folder(connect: &Connect) -> anyhow::Result<()> {
    let Some(folder) = sqlite_path(&connect.url).and_then(|path| Path::new(path).parent()) else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// An older binary does nothing to a newer schema.
async fn migrate_unless_newer(connect: &Connect) -> anyhow::Result<()> {
    let db = Db::connect(connect).await.context("cannot open the database (DATABASE_URL)")?;
    let fit = schema::fit(&db).await?;
    db.close().await?;
    if fit == Fit::TooOld {
        schema::migrate(connect, Direction::Up).await.context("cannot bring the schema up")?;
    }
    Ok(())
}

fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?.trim_start_matches("//");
    Some(path.split('?').next().unwrap_or(path))
}

/// Opens the doors. Until the schema fits, only probes are answered.
///
/// # Errors
/// When a backend cannot be opened or an address is taken.
pub async fn start(config: &Config, on_resolve: Option<OnResolve>) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(config.listen_addr).await;
    let listener = listener.with_context(|| format!("cannot listen on {} (LISTEN_ADDR)", config.listen_addr))?;
    let admin = TcpListener::bind(config.admin_addr).await;
    let admin = admin.with_context(|| format!("cannot listen on {} (ADMIN_ADDR)", config.admin_addr))?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let config = &config.bound_to(address);
    let app = use_cases(config).await?;
    let closed = config.mode == crate::config::Mode::Release;
    let api = Api::new(app.clone(), Options { closed, on_resolve });
    let server = Server::new(config, app, api);
    let (stop, stopped) = watch::channel(false);
    let doors = tokio::spawn(http::serve(server.clone(), listener, admin, stopped));
    let leave = if closed { LEAVE } else { Duration::ZERO };
    Ok(Running { server, address, admin_address, leave, stop, doors, workers: OnceLock::new() })
}

impl Running {
    /// Waits until the schema fits, opens the doors for requests, and makes the first admin of a new installation: the
    /// sign-in link for it, once.
    ///
    /// # Errors
    /// When the schema is newer than this build, or the database fails in a way that waiting does not mend.
    pub async fn open(&self) -> anyhow::Result<Option<sign_in::Link>> {
        let app = self.server.app();
        let mut told = false;
        loop {
            match schema::fit(&app.db).await {
                Ok(Fit::Ready) => break,
                Ok(Fit::TooNew) => anyhow::bail!("the schema is newer than this build understands; run a newer build"),
                Ok(Fit::TooOld) if told => {}
                Ok(Fit::TooOld) => tracing::warn!("the schema is not up to date; waiting for 'concord migrate'"),
                Err(error) => tracing::warn!(%error, "waiting for the database"),
            }
            told = true;
            tokio::time::sleep(SCHEMA_POLL).await;
        }
        let first = user::create_first_admin(app).await?;
        let link = match first {
            Some(admin) => Some(sign_in::link_for(app, &admin).await?),
            None => None,
        };
        self.server.open();
        Ok(link)
    }

    /// Begins what the server does by itself, beside requests.
    pub fn work(&self) {
        let run = || tokio::spawn(worker::run(self.server.app().clone(), self.stop.subscribe()));
        self.workers.get_or_init(run);
    }

    /// Asks to be left out of the rotation, waits (in release mode) until it is, lets running requests finish, and closes.
    ///
    /// # Errors
    /// When a door broke, or requests did not finish in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.drain();
        tokio::time::sleep(self.leave).await;
        let _ = self.stop.send(true);
        let mut doors = self.doors;
        let finished = tokio::time::timeout(DRAIN, &mut doors).await;
        doors.abort();
        if let Some(workers) = self.workers.into_inner() {
            let _ = tokio::time::timeout(CLOSE, workers).await;
        }
        // What still holds a connection is given up with the process.
        let _ = tokio::time::timeout(CLOSE, self.server.app().db.close()).await;
        finished.context("requests did not finish in time")???;
        Ok(())
    }
}
