//! Somebody who labels together with others: makes edits, on a line or without one, sends them, decides conflicts, and
//! notes what was sent and told.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{
    Session,
    load::Dice,
    model::{
        book::{Action, Book, Decision, Edit, Told},
        line::Line,
        replica::{Shared, follow},
        words::{Dot, State, Values, Vector, annotation, counter, value},
    },
    new_annotation,
};

/// Edits of one request at most.
const BATCH: usize = 6;
/// How long somebody thinks between two edits.
const THOUGHT_MS: u64 = 25;
/// What a box can be; a plate is only a van's.
const LABELS: [&str; 4] = ["car", "van", "bus", "tram"];
const SIDES: [&str; 3] = ["left", "right", "top"];
const LABEL: &str = "label";
const PLATE: &str = "attributes.plate";

/// The tool that all of them use.
pub(crate) fn tools() -> Value {
    let labels = LABELS.map(|label| json!({ "name": label }));
    json!([{ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": labels, "attributes": [
        { "name": "note", "type": "TEXT" },
        { "name": "side", "type": "SELECT", "values": SIDES },
        { "name": "plate", "type": "TEXT", "appliesTo": ["van"] },
    ] }])
}

/// One person with a session in each task.
pub(crate) struct Client {
    number: u64,
    line: Line,
    project: String,
    desks: Vec<Desk>,
    dice: Dice,
    screen: Shared,
    following: Option<JoinHandle<()>>,
    /// What this person knows of each annotation, by events and by answers.
    known: BTreeMap<String, State>,
    /// Conflicts that this person has decided.
    decided: Vec<String>,
    /// How many values were made up.
    made_up: u64,
    book: Book,
}

/// A session and what waits to be sent under it.
struct Desk {
    session: Session,
    queue: VecDeque<Edit>,
}

impl Client {
    pub(crate) fn new(
        number: u64,
        line: Line,
        project: &str,
        sessions: Vec<Session>,
        screen: Shared,
        seed: u64,
    ) -> Self {
        Self {
            number,
            line,
            project: project.to_owned(),
            desks: sessions.into_iter().map(|session| Desk { session, queue: VecDeque::new() }).collect(),
            dice: Dice::new(seed * 1_000 + number),
            screen,
            following: None,
            known: BTreeMap::new(),
            decided: Vec::new(),
            made_up: 0,
            book: Book::default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.line.doors[0].name().to_owned()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Begins to follow, from where the screen stands.
    pub(crate) fn go_online(&mut self) {
        let person = self.line.door(&mut self.dice).clone();
        self.following.get_or_insert_with(|| tokio::spawn(follow(person, self.project.clone(), self.screen.clone())));
    }

    fn go_offline(&mut self) {
        if let Some(following) = self.following.take() {
            following.abort();
        }
    }

    /// Makes that many annotations in each task and sends them.
    pub(crate) async fn draw(&mut self, count: usize) {
        for desk in 0..self.desks.len() {
            for _ in 0..count {
                self.create(desk);
            }
        }
        self.send_all().await;
    }

    /// Works for some time; now and then without a line. In the end everything was sent and answered.
    pub(crate) async fn work(&mut self, steps: usize) {
        let mut offline_for = 0;
        for _ in 0..steps {
            tokio::time::sleep(Duration::from_millis(self.dice.roll(THOUGHT_MS))).await;
            if offline_for > 0 {
                offline_for -= 1;
                self.edit();
                continue;
            }
            if self.dice.percent(5) {
                offline_for = 3 + self.dice.roll(6);
                self.go_offline();
                continue;
            }
            self.go_online();
            if self.dice.percent(25) {
                self.decide().await;
            } else {
                (0..=self.dice.roll(2)).for_each(|_| self.edit());
                self.send_all().await;
            }
        }
        self.go_online();
        self.send_all().await;
    }

    /// Ends following; gives the notes.
    pub(crate) fn leave(mut self) -> Book {
        self.go_offline();
        let mut screen = self.screen.lock().unwrap();
        self.book.seen = std::mem::take(&mut screen.seen);
        std::mem::take(&mut self.book)
    }

    /// Looks at the screen: newer states of what is known, and new annotations.
    fn look(&mut self) {
        let screen = self.screen.lock().unwrap();
        for (id, state) in &screen.annotations {
            learn(&mut self.known, id, state);
        }
    }

    fn desk_of(&self, state: &State) -> usize {
        self.desks.iter().position(|desk| desk.session.screen.task == state.task).unwrap()
    }

    /// What this person would see of an annotation: what is known, with what was not sent yet; and its base.
    fn own_view(&self, desk: usize, id: &str) -> (Vector, Values) {
        let (mut vector, mut values) = match self.known.get(id) {
            Some(state) => (state.vector.clone(), state.values.clone()),
            None => (Vector::new(), Values::new()),
        };
        for edit in self.desks[desk].queue.iter().filter(|edit| edit.annotation == id) {
            values.extend(edit.writes.clone());
            let seen = counter(&vector, &edit.dot.actor).max(edit.dot.counter);
            vector.insert(edit.dot.actor.clone(), seen);
        }
        (vector, values)
    }

    fn queue(&mut self, desk: usize, annotation: &str, action: Action, writes: Values) {
        let (vector, values) = self.own_view(desk, annotation);
        let base = if action == Action::Create { Vector::new() } else { vector };
        let on_tombstone = value(&values, "alive") == false;
        let (who, annotation) = (self.name(), annotation.to_owned());
        let dot = Dot::after(&base, &self.desks[desk].session.actor);
        let edit = Edit { who, annotation, action, base, dot, writes, on_tombstone, told: Vec::new() };
        self.desks[desk].queue.push_back(edit);
    }

    fn create(&mut self, desk: usize) {
        let label = LABELS[usize::try_from(self.dice.roll(4)).unwrap()];
        let writes = [("geometry", self.geometry()), (LABEL, json!(label)), ("alive", json!(true))];
        let writes = writes.map(|(field, value)| (field.to_owned(), value));
        self.queue(desk, &new_annotation(), Action::Create, writes.into());
    }

    /// One edit of something, now and then of something that was deleted.
    fn edit(&mut self) {
        self.look();
        if self.dice.percent(2) {
            let desk = usize::try_from(self.dice.roll(self.desks.len() as u64)).unwrap();
            return self.create(desk);
        }
        let one = usize::try_from(self.dice.roll(self.known.len() as u64)).unwrap();
        let (id, desk) = self.known.iter().nth(one).map(|(id, state)| (id.clone(), self.desk_of(state))).unwrap();
        let (_, values) = self.own_view(desk, &id);
        let alive = |alive: bool| Values::from([("alive".to_owned(), json!(alive))]);
        let is_alive = value(&values, "alive") == true;
        if !is_alive && self.dice.percent(60) {
            self.queue(desk, &id, Action::Restore, alive(true));
        } else if self.dice.percent(9) {
            self.queue(desk, &id, Action::Delete, alive(false));
        } else if is_alive || self.dice.percent(70) {
            let writes = self.change(&values);
            self.queue(desk, &id, Action::Update, writes);
        }
    }

    /// New values of some fields.
    fn change(&mut self, values: &Values) -> Values {
        let mut writes = Values::new();
        if self.dice.percent(45) {
            writes.insert("geometry".to_owned(), self.geometry());
        }
        if self.dice.percent(25) {
            let label = LABELS[usize::try_from(self.dice.roll(4)).unwrap()];
            writes.insert(LABEL.to_owned(), json!(label));
            if label != "van" && !value(values, PLATE).is_null() {
                writes.insert(PLATE.to_owned(), Value::Null);
            }
        } else if value(values, LABEL) == "van" && self.dice.percent(40) {
            let plate = format!("{} {}", self.one_more(), self.number);
            writes.insert(PLATE.to_owned(), json!(plate));
        }
        if self.dice.percent(20) {
            let side = SIDES.get(usize::try_from(self.dice.roll(4)).unwrap());
            writes.insert("attributes.side".to_owned(), json!(side));
        }
        if writes.is_empty() || self.dice.percent(25) {
            let note = format!("{}'s note {}", self.name(), self.one_more());
            writes.insert("attributes.note".to_owned(), json!(note));
        }
        writes
    }

    fn one_more(&mut self) -> u64 {
        self.made_up += 1;
        self.made_up
    }

    /// A box that nobody else ever draws; so says each of its sides. They are exact in binary.
    fn geometry(&mut self) -> Value {
        let unique = f64::from(u32::try_from(self.one_more() * 32 + self.number).unwrap());
        json!([unique / 512.0, unique / 1_024.0, 1.0 + unique / 2_048.0, 2.0 + unique / 4_096.0])
    }

    /// Sends what waits, in order, one batch at a time.
    async fn send_all(&mut self) {
        for desk in 0..self.desks.len() {
            while !self.desks[desk].queue.is_empty() {
                self.send_batch(desk).await;
            }
        }
    }

    async fn send_batch(&mut self, desk: usize) {
        let selection = format!(
            "results {{ annotationId outcome repeated code conflict {{ id cause }} annotation {{ {} }} }}",
            annotation()
        );
        let Desk { session, queue } = &mut self.desks[desk];
        let count = queue.len().min(BATCH);
        let inputs: Vec<Value> = queue.iter().take(count).map(Edit::input).collect();
        let input = session.screen.with(json!({ "edits": inputs }));
        let answers = self.line.ask(&mut self.dice, "saveAnnotations", &input, &selection).await;
        let mut edits: Vec<Edit> = queue.drain(..count).collect();
        for answer in &answers {
            if !answer.code().is_empty() {
                self.book.faults.push(format!("{} was answered {}", self.line.doors[0].name(), answer.body));
                continue;
            }
            let results = answer.get("saveAnnotations.results").as_array().unwrap();
            assert_eq!(results.len(), count, "one result an edit");
            for (edit, result) in edits.iter_mut().zip(results) {
                assert_eq!(result["annotationId"], json!(edit.annotation), "{result:#}");
                edit.told.push(Told::read(result));
            }
        }
        for edit in &edits {
            if let Some(shown) = edit.told.first().and_then(|told| told.shown.as_ref()) {
                learn(&mut self.known, &edit.annotation, shown);
            }
        }
        self.book.edits.extend(edits);
    }

    /// Decides a conflict that is on the screen, in any way.
    async fn decide(&mut self) {
        self.look();
        let open: Vec<(String, String)> = {
            let screen = self.screen.lock().unwrap();
            let open = screen.open.iter().filter(|(conflict, annotation)| {
                !self.decided.contains(*conflict) && self.known.contains_key(*annotation)
            });
            open.map(|(conflict, annotation)| (conflict.clone(), annotation.clone())).collect()
        };
        if open.is_empty() {
            return;
        }
        let one = usize::try_from(self.dice.roll(open.len() as u64)).unwrap();
        let (conflict, annotation) = open[one].clone();
        let state = self.known[&annotation].clone();
        let choice = ["CURRENT", "INCOMING", "MERGED"][usize::try_from(self.dice.roll(3)).unwrap()];
        let mut merged = Values::new();
        if choice == "MERGED" {
            merged = self.change(&state.values);
            if self.dice.percent(30) {
                merged.insert("alive".to_owned(), json!(self.dice.percent(70)));
            }
        }
        let (who, user) = (self.name(), self.line.doors[0].id.clone());
        let base = state.vector;
        let mut decision = Decision { who, user, annotation, conflict, base, choice, merged, told: Vec::new() };
        self.send_decision(&mut decision).await;
        self.book.decisions.push(decision);
    }

    async fn send_decision(&mut self, decision: &mut Decision) {
        const LEGITIMATE: [&str; 3] = ["STALE", "INVALID_TRANSITION", "BAD_USER_INPUT"];
        let selection = format!("conflict {{ id choice resolvedBy {{ id }} }} annotation {{ {} }}", annotation());
        let answers = self.line.ask(&mut self.dice, "resolveConflict", &decision.input(), &selection).await;
        for answer in &answers {
            let told = Decision::read(answer);
            if told.as_ref().is_err_and(|code| !LEGITIMATE.contains(&code.as_str())) {
                self.book.faults.push(format!("{} was answered {}", self.name(), answer.body));
            }
            decision.told.push(told);
        }
        if let Some(Ok(decided)) = decision.told.first() {
            self.decided.push(decision.conflict.clone());
            learn(&mut self.known, &decision.annotation, &decided.shown);
        }
    }
}

/// Takes note of a state, where it is news.
fn learn(known: &mut BTreeMap<String, State>, id: &str, state: &State) {
    match known.get_mut(id) {
        Some(before) if before.revision < state.revision => before.clone_from(state),
        Some(_) => {}
        None => {
            known.insert(id.to_owned(), state.clone());
        }
    }
}
