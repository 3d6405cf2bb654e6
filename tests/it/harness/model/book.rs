//! What clients sent and what they were told: all that the checker knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    Answer,
    model::words::{Dot, State, Values, Vector, content_input, read_content, vector_in_json},
};

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
    Restore,
}

/// An edit as its author made it, and every answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) who: String,
    pub(crate) annotation: String,
    pub(crate) action: Action,
    pub(crate) base: Vector,
    pub(crate) dot: Dot,
    pub(crate) writes: Values,
    /// Whether its author saw that the annotation was deleted, and so says nothing of whether it is there.
    pub(crate) on_tombstone: bool,
    pub(crate) told: Vec<Told>,
}

/// What one answer said of an edit.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) outcome: String,
    pub(crate) repeated: bool,
    /// Why it was refused.
    pub(crate) code: String,
    pub(crate) conflict: Option<String>,
    pub(crate) cause: String,
    pub(crate) shown: Option<State>,
}

impl Edit {
    /// As the API takes it.
    pub(crate) fn input(&self) -> Value {
        let mut said = content_input(&self.writes);
        said.remove("deleted");
        said.insert("id".to_owned(), json!(self.annotation));
        if self.action == Action::Create {
            said.insert("tool".to_owned(), json!("Boxes"));
        } else {
            said.insert("base".to_owned(), vector_in_json(&self.base));
        }
        match self.action {
            Action::Create => json!({ "create": said }),
            Action::Update => json!({ "update": said }),
            Action::Delete => json!({ "delete": said }),
            Action::Restore => json!({ "restore": said }),
        }
    }

    /// What its author was told when it was accepted; every answer that says so says the same.
    pub(crate) fn accepted(&self) -> Option<&Told> {
        self.told.iter().find(|told| told.outcome != "REJECTED")
    }
}

impl Told {
    pub(crate) fn read(result: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conflict = &result["conflict"];
        Self {
            outcome: text(&result["outcome"]),
            repeated: result["repeated"] == true,
            code: text(&result["code"]),
            conflict: conflict["id"].as_str().map(str::to_owned),
            cause: text(&conflict["cause"]),
            shown: Some(&result["annotation"]).filter(|shown| shown.is_object()).map(State::read),
        }
    }
}

/// What a person decided about a conflict, and every answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) who: String,
    pub(crate) user: String,
    pub(crate) annotation: String,
    pub(crate) conflict: String,
    pub(crate) base: Vector,
    pub(crate) choice: &'static str,
    pub(crate) merged: Values,
    pub(crate) told: Vec<Result<Decided, String>>,
}

/// What an answer said of a decision.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) by: String,
    pub(crate) choice: String,
    pub(crate) shown: State,
}

impl Decision {
    /// As the API takes it.
    pub(crate) fn input(&self) -> Value {
        let base = vector_in_json(&self.base);
        let mut input = json!({ "conflictId": self.conflict, "base": base, "choice": self.choice });
        if self.choice == "MERGED" {
            input["merged"] = json!(content_input(&self.merged));
        }
        input
    }

    /// Reads an answer: the decision as it was made, or the code that refuses it.
    pub(crate) fn read(answer: &Answer) -> Result<Decided, String> {
        if !answer.code().is_empty() {
            return Err(answer.code().to_owned());
        }
        Ok(Decided {
            by: answer.text("resolveConflict.conflict.resolvedBy.id"),
            choice: answer.text("resolveConflict.conflict.choice"),
            shown: State::read(answer.get("resolveConflict.annotation")),
        })
    }

    /// Whether it was this one that decided, and not the same one of somebody else.
    pub(crate) fn is_made(&self) -> bool {
        self.told.iter().flatten().any(|decided| decided.by == self.user)
    }
}

/// The notes of one client, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) edits: Vec<Edit>,
    pub(crate) decisions: Vec<Decision>,
    /// What events showed, by annotation.
    pub(crate) seen: Vec<(String, State)>,
    /// Answers that nobody should get.
    pub(crate) faults: Vec<String>,
}

impl Book {
    pub(crate) fn join(&mut self, other: Self) {
        self.edits.extend(other.edits);
        self.decisions.extend(other.decisions);
        self.seen.extend(other.seen);
        self.faults.extend(other.faults);
    }
}

/// What a client sees when all is done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) annotations: BTreeMap<String, State>,
    /// What the annotation would say with the edit that waits, by conflict.
    pub(crate) open: BTreeMap<String, Values>,
}

impl End {
    /// Adds what a task shows.
    pub(crate) fn read(&mut self, task: &Value) {
        for annotation in task["annotations"]["nodes"].as_array().unwrap() {
            self.annotations.insert(annotation["id"].as_str().unwrap().to_owned(), State::read(annotation));
        }
        for conflict in task["openConflicts"]["nodes"].as_array().unwrap() {
            self.open.insert(conflict["id"].as_str().unwrap().to_owned(), read_content(&conflict["incoming"]));
        }
    }
}
