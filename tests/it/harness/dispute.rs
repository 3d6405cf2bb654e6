//! Annotations that wait for a decision: somebody named them on two screens at once.

use serde_json::{Value, json};

use crate::harness::Session;

/// An annotation with an open conflict.
#[derive(Clone, Debug)]
pub(crate) struct Disputed {
    pub(crate) annotation: String,
    pub(crate) conflict: String,
    /// The annotation's vector: the base of a decision.
    pub(crate) now: Value,
}

impl Session {
    /// Makes an annotation and names it once more, without having seen that the other screen named it `dust` meanwhile.
    pub(crate) async fn dispute(&self, other: &Self, creation: Value) -> Disputed {
        self.dispute_all(other, vec![creation]).await.remove(0)
    }

    /// As [`Session::dispute`], of many at once.
    pub(crate) async fn dispute_all(&self, other: &Self, creations: Vec<Value>) -> Vec<Disputed> {
        let ids: Vec<Value> = creations.iter().map(|edit| edit["create"]["id"].clone()).collect();
        let named = |label: &str| -> Value {
            ids.iter().map(|id| json!({ "update": { "id": id, "base": self.seen(1), "label": label } })).collect()
        };
        self.all_become("APPLIED", json!(creations)).await;
        other.all_become("APPLIED", named("dust")).await;
        let results = self.all_become("CONFLICT", named("cell")).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let disputed = |result: &Value| Disputed {
            annotation: text(&result["annotationId"]),
            conflict: text(&result["conflict"]["id"]),
            now: result["annotation"]["versionVector"].clone(),
        };
        results.iter().map(disputed).collect()
    }

    /// Saves edits, each of which has to have this outcome; gives their results.
    pub(crate) async fn all_become(&self, outcome: &str, edits: Value) -> Vec<Value> {
        let saved = self.save(edits).await;
        let results = saved.get("saveAnnotations.results").as_array().unwrap().clone();
        assert!(results.iter().all(|result| result["outcome"] == outcome), "{outcome}: {results:#?}");
        results
    }
}
