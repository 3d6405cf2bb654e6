//! A bad line to two servers: requests are late, are sent twice, one after the other or at once, and answers get lost.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value;

use crate::harness::{Answer, Person, load::Dice};

/// How long a request or its answer may be on the way.
const DELAY_MS: u64 = 12;
/// The pause of a client whose server asks it to wait.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a client goes on asking: far longer than a server is ever busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// One person's way to both servers.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) doors: [Person; 2],
}

impl Line {
    /// The person in front of one of the servers.
    pub(crate) fn door(&self, dice: &mut Dice) -> &Person {
        &self.doors[usize::from(dice.percent(50))]
    }

    /// Sends a request until it is answered. Gives every answer that was made, the one that arrived first; no request is
    /// on the way any more.
    pub(crate) async fn ask(&self, dice: &mut Dice, field: &str, input: &Value, selection: &str) -> Vec<Answer> {
        // One after the other: the answers in front are lost.
        let lost = if dice.percent(15) { 1 + dice.roll(2) } else { 0 };
        let copies = if dice.percent(15) { 2 + dice.roll(2) } else { 1 };
        let mut answers = Vec::new();
        for _ in 0..lost {
            answers.push(self.send(dice.clone(), field, input, selection).await);
            dice.roll(2);
        }
        let at_once = (0..copies).map(|_| {
            dice.roll(2);
            self.send(dice.clone(), field, input, selection)
        });
        let at_once = join_all(at_once.collect::<Vec<_>>()).await;
        // Any of them may be the first to arrive.
        let first = usize::try_from(dice.roll(copies)).unwrap();
        answers.splice(0..0, at_once);
        answers.swap(0, first);
        answers
    }

    async fn send(&self, mut dice: Dice, field: &str, input: &Value, selection: &str) -> Answer {
        let begun = Instant::now();
        let door = self.door(&mut dice);
        loop {
            tokio::time::sleep(Duration::from_millis(dice.roll(DELAY_MS))).await;
            let answer = door.mutate(field, input.clone(), selection).await;
            if !answer.asks_to_wait() {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{} gave up: {:#}", door.name(), answer.body);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
