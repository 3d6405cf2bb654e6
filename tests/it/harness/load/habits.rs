//! What people in numbers do: annotators take one slot after the other, reviewers one task after the other, and some of
//! them do what some people always do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::harness::{
    Project, TestApp,
    labeling::Screen,
    load::{
        Client, Door, Ledger,
        client::Held,
        ledger::{Book, End},
        saves::Drawing,
    },
};

/// How long reviewers wait when there is nothing to review yet.
const IDLE: Duration = Duration::from_millis(20);
/// How long nothing may end before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// What each turn draws.
const DRAWINGS: usize = 5;

/// Out of a hundred turns or reviews, how many …
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// … are left without a word.
    pub(crate) die: u64,
    /// … are given back.
    pub(crate) release: u64,
    /// … are skipped, with a reason.
    pub(crate) skip: u64,
    /// … give signs of life in between.
    pub(crate) heartbeat: u64,
    /// … ask for everything twice.
    pub(crate) again: u64,
    /// … reject a slot.
    pub(crate) reject: u64,
    /// As [`Client::bad_line`].
    pub(crate) bad_line: u64,
    /// Whether turns save annotations.
    pub(crate) draws: bool,
}

/// Everybody who works in a project.
pub(crate) struct Crowd {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) door: Door,
    annotators: Vec<Client>,
    reviewers: Vec<Client>,
}

impl Crowd {
    /// So many annotators and reviewers, members of the project.
    pub(crate) async fn of(app: &TestApp, project: &Project, annotators: usize, reviewers: usize) -> Self {
        let (ledger, door) = (Arc::new(Ledger::default()), Door::new(&app.url("")));
        let mut crowd = Self { ledger, door, annotators: Vec::new(), reviewers: Vec::new() };
        for number in 0..annotators + reviewers {
            let (name, role) = if number < annotators { ("ann", "ANNOTATOR") } else { ("rev", "REVIEWER") };
            let person = project.member(app, &format!("{name}{number}"), role).await;
            let client = Client::new(person, &project.id, &crowd.door, &crowd.ledger, number as u64);
            if number < annotators { crowd.annotators.push(client) } else { crowd.reviewers.push(client) }
        }
        crowd
    }

    /// Some annotators come before the others, and work until there is nothing more to do for them.
    pub(crate) async fn begin(&mut self, annotators: usize, habits: Habits) {
        let first: Vec<_> =
            self.annotators.drain(..annotators).map(|client| tokio::spawn(annotate(client, habits))).collect();
        for client in first {
            self.annotators.push(client.await.unwrap());
        }
    }

    /// Everybody works until there is nothing more to do for them, and `meanwhile` happens.
    pub(crate) async fn work(&mut self, habits: Habits, meanwhile: impl Future<Output = ()>) {
        let over = Arc::new(AtomicBool::new(false));
        let annotating: Vec<_> =
            self.annotators.drain(..).map(|client| tokio::spawn(annotate(client, habits))).collect();
        let reviewing: Vec<_> =
            self.reviewers.drain(..).map(|client| tokio::spawn(review(client, habits, over.clone()))).collect();
        let everybody = async {
            for client in annotating {
                self.annotators.push(client.await.unwrap());
            }
            over.store(true, Ordering::Relaxed);
            for client in reviewing {
                self.reviewers.push(client.await.unwrap());
            }
        };
        tokio::join!(everybody, meanwhile);
    }

    /// Waits until so many turns have ended.
    pub(crate) async fn ended(ledger: &Ledger, turns: usize) {
        let mut last = (ledger.ended(), Instant::now());
        while last.0 < turns {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let now = ledger.ended();
            if now != last.0 {
                last = (now, Instant::now());
            }
            assert!(last.1.elapsed() < PATIENCE, "waited in vain for {turns} turns to end, {now} have");
        }
    }

    /// What everybody was told so far.
    pub(crate) fn book(&self) -> Book {
        self.ledger.copy()
    }
}

/// Takes slots until there is none.
async fn annotate(mut client: Client, habits: Habits) -> Client {
    client.bad_line = habits.bad_line;
    loop {
        let again = client.dice.percent(habits.again);
        let held = match client.claim(again).await {
            Ok(held) => held,
            Err(reason) => {
                let is_right = ["QUEUE_EMPTY", "ALL_DONE_BY_YOU", "LEASE_LIMIT"].contains(&reason.as_str());
                assert!(is_right, "{} gets nothing: {reason}", client.person.name());
                return client;
            }
        };
        take_turn(&mut client, held, habits).await;
    }
}

async fn take_turn(client: &mut Client, mut held: Held, habits: Habits) {
    if client.dice.percent(habits.heartbeat) && !client.heartbeat(&held).await {
        return;
    }
    if habits.draws && !draw(client, &mut held, habits).await {
        return;
    }
    let again = client.dice.percent(habits.again);
    let chance = client.dice.roll(100);
    if chance < habits.die {
        return;
    }
    let how = match chance - habits.die {
        chance if chance < habits.release => End::Released,
        chance if chance < habits.release + habits.skip => End::Skipped,
        _ => End::Submitted,
    };
    client.end(held, how, again).await;
}

/// Draws, changes what was drawn and takes one away; whether the fence holds.
async fn draw(client: &mut Client, held: &mut Held, habits: Habits) -> bool {
    if held.screen.fence > 1 {
        client.look(held).await;
    }
    let new: Vec<_> = (0..DRAWINGS).map(|_| Drawing::create(&mut client.dice)).collect();
    let again = client.dice.percent(habits.again);
    if !client.save(held, &new, again).await {
        return false;
    }
    let mut changes: Vec<_> = held.drawings.iter().map(|drawing| drawing.change(&mut client.dice)).collect();
    changes[0] = held.drawings[0].delete();
    let again = client.dice.percent(habits.again);
    client.save(held, &changes, again).await
}

/// Judges tasks until there is none and nobody hands in any more.
async fn review(mut client: Client, habits: Habits, over: Arc<AtomicBool>) -> Client {
    client.bad_line = habits.bad_line;
    loop {
        let was_over = over.load(Ordering::Relaxed);
        let again = client.dice.percent(habits.again);
        match client.claim_review(again).await {
            Ok((screen, waiting)) => judge(&mut client, &screen, &waiting, habits).await,
            // They never label: what is not theirs to review was handed in between two looks of the server.
            Err(reason) if ["QUEUE_EMPTY", "ALL_DONE_BY_YOU"].contains(&reason.as_str()) => {
                if was_over {
                    return client;
                }
                tokio::time::sleep(IDLE).await;
            }
            Err(reason) => {
                assert_eq!(reason, "LEASE_LIMIT", "{} gets no review", client.person.name());
                return client;
            }
        }
    }
}

async fn judge(client: &mut Client, screen: &Screen, waiting: &[i64], habits: Habits) {
    let chance = client.dice.roll(100);
    if chance < habits.die {
        return;
    }
    if chance < habits.die + habits.release {
        return client.give_back(screen).await;
    }
    if client.dice.percent(habits.reject) {
        let one = waiting.get(usize::try_from(client.dice.roll(waiting.len().max(1) as u64)).unwrap()).copied();
        if !client.judge(screen, one, true).await || waiting.len() < 2 {
            return;
        }
    }
    client.judge(screen, None, false).await;
}
