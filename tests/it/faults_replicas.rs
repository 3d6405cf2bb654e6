//! Two replicas at work, while one of them, Redis or the database's connections go away: nothing that was answered is lost
//! or done twice, nobody meets anybody in a slot, and everybody who follows is told of every event once.

use serde_json::json;

use crate::harness::{
    Database, Media, PgBouncer, Project, Serving, TestApp, events_of, id_of,
    load::{Crowd, Habits, Witness, assert_kept, in_full},
    on_one_database,
    postgres::{self, Postgres},
    redis::{Cluster, Redis},
    wait_until,
};

on_one_database![
    postgres: a_replica_is_killed,
    postgres: redis_is_flushed_and_restarted,
    postgres: redis_stands_still,
    postgres: a_master_of_the_cluster_is_killed,
    postgres: connections_to_the_database_are_cut,
    postgres: a_replica_stands_still_for_longer_than_its_leases,
    postgres: replicas_are_replaced_one_after_the_other,
    postgres: the_database_stands_still,
    postgres: work_goes_on_through_a_pooler_in_transaction_mode,
    postgres: the_clock_of_a_replica_is_an_hour_ahead,
];

const OVERLAP: usize = 2;
const BUSY: Habits =
    Habits { die: 2, release: 4, skip: 2, heartbeat: 20, again: 10, reject: 10, bad_line: 5, draws: true };
const DILIGENT: Habits = Habits { die: 0, release: 0, skip: 0, reject: 0, ..BUSY };
/// How often everybody comes back for what is left.
const ROUNDS: usize = 12;

/// A project with people at work, in front of two replicas.
struct Site {
    database: Database,
    keys: Vec<(&'static str, String)>,
    servers: Vec<Serving>,
    project: Project,
    crowd: Crowd,
    count: usize,
    /// Where the events begin that the witnesses are told of.
    start: String,
    witnesses: Vec<Witness>,
}

impl Site {
    async fn open(database: Database, redis: &str) -> Self {
        Self::with(database, vec![("REDIS_URL", redis.to_owned())]).await
    }

    async fn with(database: Database, keys: Vec<(&'static str, String)>) -> Self {
        let (count, annotators) = if in_full() { (1_000, 64) } else { (40, 12) };
        let app = TestApp::new(database).await;
        let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": OVERLAP })).await;
        let crowd = Crowd::of(&app, &project, annotators, 2).await;
        let start = project.cursor().await;
        let TestApp { running, database, .. } = app;
        running.stop().await.unwrap();
        let (servers, witnesses) = (Vec::new(), Vec::new());
        let mut site = Self { database, keys, servers, project, crowd, count, start, witnesses };
        for _ in 0..2 {
            let server = site.database.start(&site.keys).await;
            site.servers.push(server);
        }
        site.lead();
        site.project.manager = site.project.manager.at(&site.servers[0]);
        for _ in 0..4 {
            let witness = Witness::of(&site.project, &site.crowd.door, &site.start);
            site.witnesses.push(witness);
        }
        site.project.named_tasks("text", count).await;
        site
    }

    /// Another way to start replicas of this site, while it is at work.
    fn spare(&self) -> Database {
        Database::at(self.database.url.clone())
    }

    /// Everybody goes to all of the replicas.
    fn lead(&self) {
        self.crowd.door.lead_to(self.servers.iter().map(|server| server.url.clone()));
    }

    /// Everybody works while `trouble` happens, `times` times, in between.
    async fn work(&mut self, times: usize, mut trouble: impl AsyncFnMut(&mut Vec<Serving>, usize)) {
        let (ledger, count, database) = (self.crowd.ledger.clone(), self.count, &self.database);
        let servers = &mut self.servers;
        let troubles = async {
            for time in 1..=times {
                Crowd::ended(&ledger, time * count * OVERLAP / (times + 2)).await;
                trouble(servers, time).await;
                let told = ledger.copy();
                let facts = database.facts().await;
                assert_kept(&format!("after trouble {time}"), &facts.broken_promises(count, &told, false));
            }
        };
        self.crowd.work(BUSY, troubles).await;
    }

    /// Everybody comes back for what was left, until all of it is done; every promise was kept, and everybody told.
    async fn finish(mut self) {
        self.lead();
        self.project.manager = self.project.manager.at(&self.servers[0]);
        for round in 1..=ROUNDS {
            let now = self.database.facts().await;
            let when = format!("after round {round}");
            assert_kept(&when, &now.broken_promises(self.count, &self.crowd.book(), true));
            if now.unfinished().is_empty() {
                break;
            }
            self.database.run_out().await;
            wait_until("abandoned leases to end", async || self.database.facts().await.leased() == 0).await;
            for task in self.database.facts().await.quarantined() {
                self.project.reopen(&task).await.get("reopenTask");
            }
            self.crowd.work(DILIGENT, async {}).await;
        }
        assert_kept("in the end", &self.database.facts().await.unfinished());
        let events = self.project.event_ids(&self.start).await;
        for (number, witness) in self.witnesses.iter().enumerate() {
            witness.must_have_heard(&format!("witness {number}"), &events).await;
        }
    }
}

impl Database {
    /// Starts a replica over it, and waits until it takes requests.
    async fn start(&self, keys: &[(&'static str, String)]) -> Serving {
        let mut command = self.concord(&["serve"]);
        command.envs(keys.iter().map(|(key, value)| (*key, value.as_str())));
        let server = Serving::start(command);
        wait_until("the replica to be ready", async || server.is_ready().await).await;
        server
    }
}

impl Project {
    /// The ids of all events behind a cursor.
    async fn event_ids(&self, after: &str) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), after.to_owned());
        loop {
            let page = self.events(Some(&after), 200).await;
            ids.extend(events_of(&page).iter().map(id_of));
            if page.get("events.hasMore") == &json!(false) {
                return ids;
            }
            after = page.text("events.cursor");
        }
    }
}

/// How often in full length, where once or so is enough otherwise.
fn times(short: usize, full: usize) -> usize {
    if in_full() { full } else { short }
}

async fn a_replica_is_killed(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    let (door, keys) = (site.crowd.door.clone(), site.keys.clone());
    let fresh = site.spare();
    site.work(times(2, 6), async |servers, time| {
        let mut dead = servers.remove(time % 2);
        dead.kill();
        door.move_to(&servers[0].url);
        let server = fresh.start(&keys).await;
        servers.push(server);
        door.lead_to(servers.iter().map(|server| server.url.clone()));
    })
    .await;
    site.finish().await;
}

async fn redis_is_flushed_and_restarted(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    site.work(times(3, 9), async |_, time| match time % 3 {
        0 => {
            redis.cli(&["FLUSHALL"]);
        }
        1 => redis.kill(),
        _ => redis.come_back(),
    })
    .await;
    site.finish().await;
}

async fn redis_stands_still(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    site.work(times(2, 6), async |_, time| if time % 2 == 1 { redis.pause() } else { redis.resume() }).await;
    redis.resume();
    site.finish().await;
}

async fn a_master_of_the_cluster_is_killed(database: Database) {
    let cluster = Cluster::start();
    let mut site = Site::open(database, &cluster.url()).await;
    // Of its hash tag, which all keys of the project share.
    let key = format!("{{{}}}", site.project.id);
    site.work(1, async |_, _| cluster.master_of(&key).kill()).await;
    site.finish().await;
}

async fn connections_to_the_database_are_cut(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    let url = site.database.url.clone();
    site.work(times(3, 9), async |_, _| postgres::cut_connections(&url)).await;
    site.finish().await;
}

async fn a_replica_stands_still_for_longer_than_its_leases(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    let (door, url) = (site.crowd.door.clone(), site.database.url.clone());
    site.work(times(2, 6), async |servers, time| {
        if time % 2 == 1 {
            servers[1].signal("STOP");
            door.move_to(&servers[0].url);
            Database::at(url.clone()).run_out().await;
        } else {
            servers[1].signal("CONT");
            door.lead_to(servers.iter().map(|server| server.url.clone()));
        }
    })
    .await;
    site.servers[1].signal("CONT");
    site.finish().await;
}

/// As a rolling update does: a new one comes, the old one is asked to go, and is no longer sent to once it says so.
async fn replicas_are_replaced_one_after_the_other(database: Database) {
    let redis = Redis::start(&[]);
    let keys = vec![("REDIS_URL", redis.url()), ("CONCORD_MODE", "release".to_owned())];
    let mut site = Site::with(database, keys).await;
    let (door, keys, ledger) = (site.crowd.door.clone(), site.keys.clone(), site.crowd.ledger.clone());
    let fresh = site.spare();
    site.work(times(2, 6), async |servers, _| {
        let new = fresh.start(&keys).await;
        servers.push(new);
        let mut old = servers.remove(0);
        old.signal("TERM");
        wait_until("the old one to say that it goes", async || !old.is_ready().await).await;
        door.lead_to(servers.iter().map(|server| server.url.clone()));
        assert!(old.ended().await.success(), "it ends in order");
    })
    .await;
    assert_eq!(ledger.copy().silences, 0, "every request was answered");
    site.finish().await;
}

async fn the_database_stands_still(_shared: Database) {
    let postgres = Postgres::start(&[]);
    postgres.create("concord", None);
    let database = Database::at(postgres.url("concord"));
    assert!(database.migrate().await.status.success());
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    let ledger = site.crowd.ledger.clone();
    site.work(times(1, 3), async |servers, _| {
        let answered = ledger.copy().silences;
        postgres.pause();
        for server in servers.iter() {
            wait_until("it to say so", async || !server.is_ready().await).await;
            assert_eq!(server.get("/healthz").await.expect("it answers").0, 200);
        }
        postgres.resume();
        assert_eq!(ledger.copy().silences, answered, "whoever waits is told so");
    })
    .await;
    site.finish().await;
    postgres.stop();
}

async fn work_goes_on_through_a_pooler_in_transaction_mode(database: Database) {
    let (redis, bouncer) = (Redis::start(&[]), PgBouncer::before(&database.url));
    let keys =
        [("REDIS_URL", redis.url()), ("DATABASE_URL", bouncer.url()), ("DATABASE_POOLER", "transaction".to_owned())];
    let mut site = Site::with(database, keys.to_vec()).await;
    let url = site.database.url.clone();
    site.work(times(1, 3), async |_, _| postgres::cut_connections(&url)).await;
    site.finish().await;
}

/// Leases, events and sessions go by the clocks of the database and of Redis, which are one for all replicas.
async fn the_clock_of_a_replica_is_an_hour_ahead(database: Database) {
    let redis = Redis::start(&[]);
    let mut site = Site::open(database, &redis.url()).await;
    let library = faketime();
    let mut wrong = site.keys.clone();
    wrong.extend([("LD_PRELOAD", library), ("FAKETIME", "+3600s".to_owned())]);
    wrong.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()));
    let (door, spare) = (site.crowd.door.clone(), site.spare());
    site.work(1, async |servers, _| {
        servers.push(spare.start(&wrong).await);
        door.lead_to(servers.iter().map(|server| server.url.clone()));
    })
    .await;
    assert_eq!(site.database.facts().await.expired(), 0, "nobody lost a lease before its time");
    site.finish().await;
}

/// Where the library is that tells a process another time.
fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = places.into_iter().find(|place| place.is_file());
    found.expect("no libfaketime on this machine: run 'make setup'").display().to_string()
}
