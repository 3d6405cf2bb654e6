//! A client that works like a browser tab on a bad line: it asks again until it is answered, and notes what it was told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Person,
    labeling::{SCREEN, Screen, claimed},
    load::{
        Ledger,
        dice::Dice,
        ledger::End,
        saves::{Drawing, Save, Told},
    },
};

/// The pause before a request is sent again: it doubles up to the second one.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(320)];
/// When a bad line breaks at the latest.
const BREAK_MS: u64 = 100;
/// How long a client goes on asking: far longer than a server is ever away.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the servers are at present: requests go to one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Door(Arc<Mutex<VecDeque<String>>>);

impl Door {
    pub(crate) fn new(url: &str) -> Self {
        Self(Arc::new(Mutex::new([url.to_owned()].into())))
    }

    /// The server is elsewhere from now on.
    pub(crate) fn move_to(&self, url: &str) {
        self.lead_to([url.to_owned()]);
    }

    /// These are the servers from now on.
    pub(crate) fn lead_to(&self, urls: impl IntoIterator<Item = String>) {
        *self.0.lock().unwrap() = urls.into_iter().collect();
    }

    /// The server whose turn it is.
    pub(crate) fn url(&self) -> String {
        let mut urls = self.0.lock().unwrap();
        urls.rotate_left(1);
        urls[0].clone()
    }
}

/// An answer, and how it was got.
struct Asked {
    answer: Answer,
    /// When the request was sent for the first time.
    at: Instant,
    /// Whether it was sent more than once: the server may have done it before it answered.
    again: bool,
}

/// A turn that its client holds, as far as it knows.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) screen: Screen,
    turn: usize,
    /// What was drawn in it.
    pub(crate) drawings: Vec<Drawing>,
}

/// One person in front of one screen after the other.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) person: Person,
    project: String,
    door: Door,
    ledger: Arc<Ledger>,
    pub(crate) dice: Dice,
    /// Out of a hundred requests, how many are given up before the answer comes, and sent again.
    pub(crate) bad_line: u64,
    claims: u32,
}

impl Client {
    pub(crate) fn new(person: Person, project: &str, door: &Door, ledger: &Arc<Ledger>, seed: u64) -> Self {
        let (door, ledger) = (door.clone(), ledger.clone());
        Self { person, project: project.to_owned(), door, ledger, dice: Dice::new(seed), bad_line: 0, claims: 0 }
    }

    /// Sends a request until it is answered.
    async fn ask(&mut self, query: &str, variables: &Value) -> Asked {
        let at = Instant::now();
        let mut pause = PAUSES[0];
        let mut again = self.dice.percent(self.bad_line);
        if again {
            let url = self.door.url();
            let short = Duration::from_millis(self.dice.roll(BREAK_MS));
            // What the server makes of it is its business: the same request follows.
            let _ = tokio::time::timeout(short, self.person.try_send(&url, query, variables)).await;
        }
        loop {
            let trouble = match self.person.try_send(&self.door.url(), query, variables).await {
                Ok(answer) if !answer.asks_to_wait() => return Asked { answer, at, again },
                Ok(answer) => answer.body.to_string(),
                Err(trouble) => {
                    self.ledger.unanswered();
                    trouble
                }
            };
            assert!(at.elapsed() < PATIENCE, "{} gave up: {trouble}\n{query}\n{variables}", self.person.name());
            tokio::time::sleep(pause).await;
            (pause, again) = ((pause * 2).min(PAUSES[1]), true);
        }
    }

    async fn mutate(&mut self, field: &str, input: &Value, selection: &str) -> Asked {
        let name = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!("mutation($input: {name}!) {{ {field}(input: $input) {{ {selection} }} }}");
        self.ask(&query, &json!({ "input": input })).await
    }

    /// Claims by a request id; now and then twice, which must give the same session.
    async fn open(&mut self, field: &str, selection: &str, again: bool) -> Result<(Screen, Asked), String> {
        self.claims += 1;
        let input = json!({ "projectId": self.project, "requestId": format!("claim {}", self.claims) });
        let asked = self.mutate(field, &input, selection).await;
        let screen = claimed(&asked.answer, field)?;
        if again {
            let repeated = claimed(&self.mutate(field, &input, selection).await.answer, field);
            let repeated = repeated.map(|screen| (screen.session, screen.fence));
            assert_eq!(repeated, Ok((screen.session.clone(), screen.fence)), "{field} repeated by its request id");
        }
        Ok((screen, asked))
    }

    /// The next slot, or why there is none.
    pub(crate) async fn claim(&mut self, again: bool) -> Result<Held, String> {
        let (screen, asked) = self.open("claimTask", SCREEN, again).await?;
        let turn = self.ledger.claimed(&self.person, &screen, asked.at);
        Ok(Held { screen, turn, drawings: Vec::new() })
    }

    /// A sign of life; whether the fence holds.
    pub(crate) async fn heartbeat(&mut self, held: &Held) -> bool {
        let asked = self.mutate("heartbeat", &held.screen.input(), "expiresAt").await;
        if self.is_lost(held, &asked) {
            return false;
        }
        asked.answer.get("heartbeat.expiresAt");
        self.ledger.held(held.turn, asked.at);
        true
    }

    /// Whether an answer says that the fence holds no more; then the turn is over. Edits that came late wait as conflicts, or
    /// are too late for that: none of them is in the work.
    fn is_lost(&self, held: &Held, asked: &Asked) -> bool {
        let results = asked.answer.body["data"]["saveAnnotations"]["results"].as_array();
        let is_late = |result: &Value| result["outcome"] == "CONFLICT" || result["code"] == "LEASE_LOST";
        let are_late = results.is_some_and(|results| !results.is_empty() && results.iter().all(is_late));
        let is_lost = are_late || asked.answer.code() == "LEASE_LOST";
        if is_lost {
            self.ledger.end(held.turn, End::Lost, asked.at);
        }
        is_lost
    }

    /// Ends the turn; now and then asks for it twice, which must give the same answer.
    pub(crate) async fn end(&mut self, held: Held, how: End, again: bool) {
        let (field, mut input) = (field_of(how), held.screen.input());
        if how == End::Skipped {
            input["reason"] = json!("too dark");
        }
        self.ledger.ending(held.turn, how);
        let asked = self.ask_decided(field, &held.screen, &input, "task { id }").await;
        if self.is_lost(&held, &asked) {
            return;
        }
        assert_eq!(asked.answer.text(&format!("{field}.task.id")), held.screen.task);
        self.ledger.end(held.turn, how, asked.at);
        if again {
            let repeated = self.mutate(field, &input, "task { id }").await.answer;
            assert_eq!(repeated.text(&format!("{field}.task.id")), held.screen.task, "repeated under its fence");
        }
    }

    /// Asks for what waits until conflicts are decided: those of edits that came late. What is there stays.
    async fn ask_decided(&mut self, field: &str, screen: &Screen, input: &Value, selection: &str) -> Asked {
        let query = "query($task: ID!) { task(id: $task) {
            openConflicts(first: 100) { nodes { id annotation { versionVector } } } } }";
        loop {
            let asked = self.mutate(field, input, selection).await;
            if asked.answer.code() != "CONFLICT_OPEN" {
                return asked;
            }
            let open = self.ask(query, &json!({ "task": screen.task })).await;
            for conflict in open.answer.get("task.openConflicts.nodes").as_array().unwrap() {
                let base = &conflict["annotation"]["versionVector"];
                let decision = json!({ "conflictId": conflict["id"], "base": base, "choice": "CURRENT" });
                // Another decision about the same annotation may have come first: then this one is stale, and made anew.
                self.mutate("resolveConflict", &decision, "conflict { id }").await;
            }
        }
    }

    /// What others left in the slot.
    pub(crate) async fn look(&mut self, held: &mut Held) {
        let query = "query($task: ID!, $slot: Int!) {
            task(id: $task) { annotations(slot: $slot, first: 200) { nodes { id versionVector } } } }";
        let asked = self.ask(query, &json!({ "task": held.screen.task, "slot": held.screen.slot })).await;
        let nodes = asked.answer.get("task.annotations.nodes").as_array().unwrap();
        held.drawings = nodes.iter().map(Drawing::read).collect();
    }

    /// Saves edits in one batch; now and then twice, which must change nothing. Whether the fence holds.
    pub(crate) async fn save(&mut self, held: &mut Held, edits: &[Value], again: bool) -> bool {
        let selection = "results { annotationId outcome repeated code annotation { id revision versionVector } }";
        let mut input = held.screen.input();
        input["edits"] = json!(edits);
        let save = self.ledger.saving(Save::of(self.person.name(), &held.screen, edits));
        let asked = self.mutate("saveAnnotations", &input, selection).await;
        if self.is_lost(held, &asked) {
            self.ledger.saved(save, if asked.again { Told::Unknown } else { Told::Refused });
            return false;
        }
        let results = asked.answer.get("saveAnnotations.results").as_array().unwrap();
        // What waits beside an annotation is in its vector: who has not seen that it waits is merged with it.
        let is_in = |result: &Value| result["outcome"] == "APPLIED" || result["outcome"] == "MERGED";
        assert!(results.iter().all(is_in), "{results:#?}");
        let repeated = results.iter().filter(|result| result["repeated"] == true).count();
        let is_whole = repeated == 0 || (asked.again && repeated == edits.len());
        assert!(is_whole, "{repeated} of {} edits were there before: {results:#?}", edits.len());
        self.ledger.held(held.turn, asked.at);
        self.ledger.saved(save, Told::Saved);
        held.learn(results);
        if again {
            let answer = self.mutate("saveAnnotations", &input, selection).await.answer;
            if answer.code() != "LEASE_LOST" {
                let results = answer.get("saveAnnotations.results").as_array().unwrap();
                let is_same = |result: &Value| result["repeated"] == true && is_in(result);
                assert!(results.iter().all(is_same), "saved twice: {results:#?}");
            }
        }
        true
    }

    /// A task to review and the slots that wait for a verdict, or why there is none.
    pub(crate) async fn claim_review(&mut self, again: bool) -> Result<(Screen, Vec<i64>), String> {
        let selection = "session { id fence actor task { id slots { number state } } slot { number round } } reason";
        let (screen, asked) = self.open("claimReview", selection, again).await?;
        let slots = asked.answer.get("claimReview.session.task.slots").as_array().unwrap();
        let waiting = slots.iter().filter(|slot| slot["state"] == "SUBMITTED").map(|slot| slot["number"].as_i64());
        Ok((screen, waiting.map(Option::unwrap).collect()))
    }

    /// Judges one slot, or all that wait; whether the fence holds.
    pub(crate) async fn judge(&mut self, screen: &Screen, slot: Option<i64>, reject: bool) -> bool {
        let verdict = self.ledger.judging(&screen.task, reject);
        let mut input = screen.input();
        input["verdict"] = json!(if reject { "REJECT" } else { "ACCEPT" });
        input["slot"] = json!(slot);
        let asked = self.ask_decided("reviewTask", screen, &input, "reviews { slot round }").await;
        if asked.answer.code() == "LEASE_LOST" {
            self.ledger.judged(verdict, Vec::new());
            return false;
        }
        let reviews = asked.answer.get("reviewTask.reviews").as_array().unwrap();
        let number = |value: &Value| i32::try_from(value.as_i64().unwrap()).unwrap();
        let judged = reviews.iter().map(|review| (number(&review["slot"]), number(&review["round"])));
        self.ledger.judged(verdict, judged.collect());
        true
    }

    /// Gives a review back.
    pub(crate) async fn give_back(&mut self, screen: &Screen) {
        let asked = self.mutate("releaseTask", &screen.input(), "task { id }").await;
        if asked.answer.code() != "LEASE_LOST" {
            asked.answer.get("releaseTask.task.id");
        }
    }
}

impl Held {
    /// What the answer to a save says of the annotations.
    fn learn(&mut self, results: &[Value]) {
        for result in results {
            let known = Drawing::read(&result["annotation"]);
            match self.drawings.iter_mut().find(|drawing| drawing.id == known.id) {
                Some(drawing) => *drawing = known,
                None => self.drawings.push(known),
            }
        }
    }
}

fn field_of(how: End) -> &'static str {
    match how {
        End::Submitted => "submitTask",
        End::Skipped => "skipTask",
        End::Released => "releaseTask",
        End::Lost => panic!("nobody asks to lose a lease"),
    }
}
