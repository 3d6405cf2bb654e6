//! What every body that reaches other processes must do; each body's tests run it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Bus, Heard, Hint, Topic};
use crate::domain::ids::{ProjectId, TaskId};

/// Two processes' ways to one another.
type Buses<B> = [Arc<B>; 2];

/// What was heard so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Heard>>>);

impl Log {
    fn of(bus: &impl Bus) -> Self {
        let log = Self::default();
        let heard = log.clone();
        bus.hear(Box::new(move |what| heard.0.lock().unwrap().push(what)));
        log
    }

    fn hints(&self) -> Vec<Hint> {
        let heard = self.0.lock().unwrap();
        heard.iter().filter_map(|heard| if let Heard::Hint(hint) = heard { Some(hint.clone()) } else { None }).collect()
    }

    fn gaps(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|heard| **heard == Heard::Gap).count()
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.expect("it comes to be");
}

fn events(project: ProjectId, top: i64) -> Hint {
    Hint::Events(project, BTreeMap::from([(3, top)]))
}

/// The whole contract.
pub(crate) async fn run<B: Bus>([one, other]: Buses<B>) {
    let (log, own) = (Log::of(&*one), Log::of(&*other));
    let (project, task) = (ProjectId::generate(), TaskId::generate());
    let [followed, unknown] = [project, ProjectId::generate()].map(Topic::Events);
    let follow = async |topic| {
        let before = log.gaps();
        one.follow(topic);
        until(async || log.gaps() > before).await;
    };
    for topic in [followed, Topic::Presence(task), Topic::SignIns] {
        follow(topic).await;
        let before = own.gaps();
        other.follow(topic);
        until(async || own.gaps() > before).await;
    }

    // Whoever follows hears, of each topic; whoever tells does not hear themselves.
    let told = [
        events(project, 7),
        Hint::Presence { task, turned: true },
        Hint::Presence { task, turned: false },
        Hint::SignIns,
    ];
    for hint in told {
        other.tell(hint.clone());
        until(async || log.hints().last() == Some(&hint)).await;
    }
    one.tell(events(project, 8));
    until(async || own.hints() == [events(project, 8)]).await;

    // What is not followed is not heard: it was told before something that is.
    other.tell(Hint::Events(ProjectId::generate(), BTreeMap::new()));
    let Topic::Events(stranger) = unknown else { unreachable!() };
    other.tell(events(stranger, 1));
    other.tell(events(project, 9));
    until(async || log.hints().last() == Some(&events(project, 9))).await;
    assert_eq!(log.hints().len(), 5, "{:?}", log.hints());

    // Followed twice, left once: still heard. Left as often: not any more; followed again: again.
    one.follow(followed);
    one.leave(followed);
    other.tell(events(project, 10));
    until(async || log.hints().last() == Some(&events(project, 10))).await;
    one.leave(followed);
    follow(unknown).await;
    other.tell(events(stranger, 2));
    until(async || log.hints().last() == Some(&events(stranger, 2))).await;
    let before = log.hints().len();
    follow(followed).await;
    other.tell(events(project, 12));
    until(async || log.hints().last() == Some(&events(project, 12))).await;
    assert!(log.hints().len() <= before + 2, "{:?}", log.hints());

    // Whatever is told at once, the last position of each arrives.
    for top in 13..1_000 {
        other.tell(events(project, top));
    }
    until(async || log.hints().last() == Some(&events(project, 999))).await;
}

/// After a time without it, what is told is heard again, and whoever listens knows that something may be lost.
pub(crate) async fn is_heard_again_after<B: Bus>(buses: Buses<B>, trouble: impl AsyncFnOnce()) {
    is_heard_again_of(Topic::Events(ProjectId::generate()), buses, trouble).await;
}

/// The same of one topic, which is that of a project.
pub(crate) async fn is_heard_again_of<B: Bus>(topic: Topic, [one, other]: Buses<B>, trouble: impl AsyncFnOnce()) {
    let Topic::Events(project) = topic else { panic!("the topic of a project") };
    let log = Log::of(&*one);
    one.follow(topic);
    until(async || log.gaps() > 0).await;
    other.tell(events(project, 1));
    until(async || !log.hints().is_empty()).await;
    let gaps = log.gaps();
    trouble().await;
    until(async || log.gaps() > gaps).await;
    let heard = log.hints().len();
    until(async || {
        other.tell(events(project, 2));
        log.hints().len() > heard
    })
    .await;
}
