//! Hints by Redis' publish and subscribe, on a Cluster the sharded one: one connection of a process listens, a topic is a
//! channel.
//!
//! What is told while Redis is away is dropped. A connection that breaks, or does not answer a PING, is made anew with all
//! its subscriptions; that, and every topic that comes to be followed, is a gap.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use deadpool_redis::redis::{PushInfo, PushKind, Value, cmd};
use futures::{StreamExt, stream};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Bus, Heard, Hint, Listener, Topic};
use crate::{
    backend::redis::{Ear, Redis},
    domain::limits,
};

/// The bus of replicas with a Redis.
pub struct RedisBus {
    shared: Arc<Shared>,
}

struct Shared {
    redis: Redis,
    /// Stands in front of what this process tells, so that it does not hear itself.
    origin: String,
    listener: OnceLock<Listener>,
    state: Mutex<State>,
    /// There is something to tell.
    told: Arc<Notify>,
    /// Other topics are followed, or the connection broke.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// How often each topic is followed.
    followed: HashMap<Topic, usize>,
    /// Topics whose subscription may not be as `followed` says.
    unsettled: HashSet<Topic>,
    /// What is to be told.
    hints: HashMap<Topic, Hint>,
    /// The number of the listening connection; none when it broke.
    connection: Option<u64>,
}

impl RedisBus {
    /// Over a Redis; nobody waits until it can be reached.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let shared = Arc::new(Shared {
            redis,
            origin: Uuid::new_v4().simple().to_string(),
            listener: OnceLock::new(),
            state: Mutex::default(),
            told: Arc::default(),
            changed: Arc::default(),
        });
        tokio::spawn(speak(Arc::downgrade(&shared), shared.told.clone()));
        tokio::spawn(listen(Arc::downgrade(&shared), shared.changed.clone()));
        Self { shared }
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").finish_non_exhaustive()
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        // Both notice that it is gone.
        self.shared.told.notify_one();
        self.shared.changed.notify_one();
    }
}

impl Bus for RedisBus {
    fn hear(&self, listener: Listener) {
        let _ = self.shared.listener.set(listener);
    }

    fn follow(&self, topic: Topic) {
        let mut state = self.shared.state();
        let count = state.followed.entry(topic).or_default();
        *count += 1;
        if *count == 1 {
            state.unsettled.insert(topic);
            self.shared.changed.notify_one();
        }
    }

    fn leave(&self, topic: Topic) {
        let mut state = self.shared.state();
        let Some(count) = state.followed.get_mut(&topic) else { return };
        *count -= 1;
        if *count == 0 {
            state.followed.remove(&topic);
            state.unsettled.insert(topic);
            self.shared.changed.notify_one();
        }
    }

    fn tell(&self, hint: Hint) {
        let (topic, mut state) = (hint.topic(), self.shared.state());
        let hint = match state.hints.remove(&topic) {
            Some(before) => before.joined(hint),
            // What is too much is dropped: whoever misses it looks a little later.
            None if state.hints.len() >= limits::HINTS => return,
            None => hint,
        };
        state.hints.insert(topic, hint);
        self.shared.told.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, heard: Heard) {
        if let Some(listener) = self.listener.get() {
            listener(heard);
        }
    }

    /// Takes what comes on a listening connection.
    fn pushed(&self, push: &PushInfo, connection: u64) {
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                if let Some(hint) = hint_of(push, &self.origin) {
                    self.heard(Heard::Hint(hint));
                }
            }
            PushKind::Disconnection => {
                let mut state = self.state();
                // One that was given up says so, too.
                if state.connection == Some(connection) {
                    state.connection = None;
                    self.changed.notify_one();
                }
            }
            // The server's own doing: the channel's slot has moved to another node.
            PushKind::SUnsubscribe => {
                if let Some(topic) = text(push.data.first()).and_then(|channel| topic_of(&channel)) {
                    let mut state = self.state();
                    if state.followed.contains_key(&topic) {
                        state.unsettled.insert(topic);
                        self.changed.notify_one();
                    }
                }
            }
            _ => {}
        }
    }

    /// Some topics whose subscriptions are not known to be as they should, with what they should be.
    fn unsettled(&self) -> Vec<(Topic, bool)> {
        let state = self.state();
        let some = state.unsettled.iter().take(limits::TOPICS_AT_ONCE);
        some.map(|topic| (*topic, state.followed.contains_key(topic))).collect()
    }

    /// These are as they should be, unless that has changed since.
    fn settle(&self, topics: &[(Topic, bool)]) {
        let mut state = self.state();
        for (topic, follows) in topics {
            if state.followed.contains_key(topic) == *follows {
                state.unsettled.remove(topic);
            }
        }
    }

    /// A new connection: nothing is subscribed to.
    fn begin_anew(&self, connection: u64) {
        let mut state = self.state();
        state.unsettled = state.followed.keys().copied().collect();
        state.connection = Some(connection);
    }
}

/// Tells what there is to tell, until the bus is gone.
async fn speak(bus: Weak<Shared>, told: Arc<Notify>) {
    loop {
        told.notified().await;
        let Some(shared) = bus.upgrade() else { return };
        let hints = std::mem::take(&mut shared.state().hints);
        let publish = if shared.redis.is_cluster() { "SPUBLISH" } else { "PUBLISH" };
        let (redis, origin) = (&shared.redis, &shared.origin);
        let tell = |hint: Hint| async move {
            let mut command = cmd(publish);
            command.arg(channel_of(hint.topic())).arg(format!("{origin} {}", text_of(&hint)));
            if let Err(error) = redis.ask::<i64>(&command).await {
                tracing::debug!(%error, "a hint is lost");
            }
        };
        stream::iter(hints.into_values()).for_each_concurrent(limits::HINTS_AT_ONCE, tell).await;
    }
}

/// Listens, on one connection after the other, until the bus is gone.
async fn listen(bus: Weak<Shared>, changed: Arc<Notify>) {
    for connection in 0.. {
        let Some(shared) = bus.upgrade() else { return };
        let pushed_to = bus.clone();
        let on_push = move |push: PushInfo| {
            if let Some(shared) = pushed_to.upgrade() {
                shared.pushed(&push, connection);
            }
            Ok::<(), Infallible>(())
        };
        match timeout(limits::REDIS_TIME, shared.redis.listen(on_push)).await {
            Ok(Ok(mut ear)) => {
                shared.begin_anew(connection);
                drop(shared);
                attend(&mut ear, &bus, &changed).await;
                sleep(limits::REDIS_RETRY_PAUSE).await;
                continue;
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot listen to Redis"),
            Err(_) => tracing::debug!("cannot listen to Redis in time"),
        }
        drop(shared);
        sleep(limits::REDIS_REST).await;
    }
}

/// Keeps the subscriptions of a connection as they should be, until it is of no more use, or the bus is gone.
async fn attend(ear: &mut Ear, bus: &Weak<Shared>, changed: &Notify) {
    let mut failures = 0;
    loop {
        let Some(shared) = bus.upgrade() else { return };
        if shared.state().connection.is_none() {
            return;
        }
        let topics = shared.unsettled();
        let done = subscribe(ear, &topics).await;
        shared.settle(&done);
        if done.iter().any(|(_, follows)| *follows) {
            shared.heard(Heard::Gap);
        }
        let has_failed = done.len() < topics.len();
        failures = if has_failed { failures + 1 } else { 0 };
        let is_settled = topics.is_empty();
        drop(shared);
        if failures >= limits::REDIS_ATTEMPTS {
            return;
        }
        if has_failed {
            sleep(limits::REDIS_REST).await;
        } else if is_settled
            && timeout(limits::BUS_LOOK, changed.notified()).await.is_err()
            && ear.check().await.is_err()
        {
            return;
        }
    }
}

/// Makes subscriptions as they should be; gives those that are.
async fn subscribe(ear: &mut Ear, topics: &[(Topic, bool)]) -> Vec<(Topic, bool)> {
    let mut done = Vec::with_capacity(topics.len());
    for follows in [true, false] {
        let these: Vec<Topic> = topics.iter().filter(|topic| topic.1 == follows).map(|(topic, _)| *topic).collect();
        let channels: Vec<String> = these.iter().map(|topic| channel_of(*topic)).collect();
        let were_made = ear.set(&channels, follows).await;
        done.extend(these.into_iter().zip(were_made).filter(|(_, made)| *made).map(|(topic, _)| (topic, follows)));
    }
    done
}

/// The channel of a topic.
fn channel_of(topic: Topic) -> String {
    match topic {
        Topic::Events(project) => format!("events:{project}"),
        Topic::Presence(task) => format!("presence:{task}"),
        Topic::SignIns => "sign-ins".to_owned(),
    }
}

fn topic_of(channel: &str) -> Option<Topic> {
    match channel.split_once(':') {
        Some(("events", project)) => Some(Topic::Events(project.parse().ok()?)),
        Some(("presence", task)) => Some(Topic::Presence(task.parse().ok()?)),
        None if channel == "sign-ins" => Some(Topic::SignIns),
        _ => None,
    }
}

/// A hint as it is written: what it says beside its topic.
fn text_of(hint: &Hint) -> String {
    match hint {
        Hint::Events(_, tops) => {
            tops.iter().map(|(stream, top)| format!("{stream}:{top}")).collect::<Vec<_>>().join(",")
        }
        Hint::Presence { turned, .. } => if *turned { "turned" } else { "" }.to_owned(),
        Hint::SignIns => String::new(),
    }
}

/// The hint that came, unless this process told it. What another build says more is passed over.
fn hint_of(push: &PushInfo, own_origin: &str) -> Option<Hint> {
    let topic = topic_of(&text(push.data.first())?)?;
    let message = text(push.data.get(1))?;
    let (origin, said) = message.split_once(' ')?;
    if origin == own_origin {
        return None;
    }
    Some(match topic {
        Topic::Events(project) => {
            let top = |top: &str| {
                let (stream, top) = top.split_once(':')?;
                Some((stream.parse().ok()?, top.parse().ok()?))
            };
            Hint::Events(project, said.split(',').filter_map(top).collect::<BTreeMap<i32, i64>>())
        }
        Topic::Presence(task) => Hint::Presence { task, turned: said == "turned" },
        Topic::SignIns => Hint::SignIns,
    })
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::conformance, *};
    use crate::{
        backend::servers::redis,
        config::RedisAddress,
        domain::ids::{ProjectId, TaskId},
    };

    fn buses(url: &str) -> [Arc<RedisBus>; 2] {
        let bus = || Arc::new(RedisBus::new(Redis::new(&RedisAddress::parse(url).unwrap()).unwrap()));
        [bus(), bus()]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_keeps_the_contract() {
        conformance::run(buses(&redis::shared().url())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_keeps_the_contract() {
        conformance::run(buses(&redis::shared_cluster().url())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_was_away_is_heard_again() {
        let server = redis::Redis::start(&[]);
        let buses = buses(&server.url());
        conformance::is_heard_again_after(buses, async || {
            server.kill();
            server.come_back();
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_stood_still_is_heard_again() {
        let server = redis::Redis::start(&[]);
        let buses = buses(&server.url());
        let gaps = conformance::is_heard_again_after(buses, async || {
            server.pause();
            sleep(limits::BUS_LOOK + 2 * limits::REDIS_ANSWER).await;
            server.resume();
        });
        gaps.await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_that_is_cut_is_made_again() {
        let server = redis::Redis::start(&[]);
        let buses = buses(&server.url());
        conformance::is_heard_again_after(buses, async || {
            server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_whose_master_is_replaced_is_heard_again() {
        let cluster = redis::Cluster::start();
        let topic = Topic::Events(ProjectId::generate());
        let buses = buses(&cluster.url());
        conformance::is_heard_again_of(topic, buses, async || cluster.master_of(&channel_of(topic)).kill()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_follows_any_more_is_subscribed_to_no_more() {
        let server = redis::Redis::start(&[]);
        let [bus, _] = buses(&server.url());
        let topic = Topic::Presence(TaskId::generate());
        let subscribers = || server.cli(&["PUBSUB", "NUMSUB", &channel_of(topic)]).lines().last().unwrap().to_owned();
        for (follows, count) in [(true, "1"), (false, "0"), (true, "1")] {
            if follows {
                bus.follow(topic);
            } else {
                bus.leave(topic);
            }
            conformance::until(async || subscribers() == count).await;
        }
    }

    #[test]
    fn a_channel_names_its_topic() {
        let topics = [Topic::Events(ProjectId::generate()), Topic::Presence(TaskId::generate()), Topic::SignIns];
        for topic in topics {
            assert_eq!(topic_of(&channel_of(topic)), Some(topic));
        }
        for other in ["events:x", "events", "presence:", "sign-ins:1", ""] {
            assert_eq!(topic_of(other), None, "{other}");
        }
    }
}
