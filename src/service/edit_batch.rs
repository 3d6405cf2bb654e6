//! The edits of one save, taken one after the other on the state in memory: each meets what those in front of it left,
//! and a fault of one is its own outcome. Nothing is written here; what is to be written is collected.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        edit::{
            self, Change, Content, Dot, Edit, EditHash, Field, Known, Outcome, Patch, Rejection, Stored, canonical,
        },
        ids::{AnnotationId, AssetId, UserId},
        limits,
        template::Tool,
        version_vector::VersionVector,
        words::{AnnotationSource, EditOutcome, ErrorCode, Kind, SessionRole, SlotState},
    },
    kind::Geometry,
    repo::{
        annotation::Annotation,
        revision::{EditName, Revision},
        session::Session,
    },
    service::{canvas::Canvas, locked::Locked},
};

/// One edit as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotationEdit {
    /// The annotation.
    pub id: AnnotationId,
    /// What to do with it.
    pub action: EditAction,
}

/// What an edit does, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum EditAction {
    /// Makes the annotation.
    Create(NewAnnotation),
    /// Writes some of its fields.
    Update {
        /// What the author had seen of it.
        base: VersionVector,
        /// What it is called.
        label: Option<String>,
        /// Where it is.
        geometry: Option<Geometry>,
        /// Attributes to set, by name; null removes one.
        attributes: Option<Value>,
    },
    /// Makes it a tombstone.
    Delete {
        /// What the author had seen of it.
        base: VersionVector,
    },
    /// Makes a tombstone live again.
    Restore {
        /// What the author had seen of it.
        base: VersionVector,
    },
}

/// An annotation to make.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnnotation {
    /// The slot's number; none: the session's.
    pub slot: Option<i32>,
    /// What it is drawn on; none: what alone suits.
    pub asset: Option<AssetId>,
    /// The tool.
    pub tool: String,
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub geometry: Geometry,
    /// What else is said of it.
    pub attributes: Option<Value>,
}

impl EditAction {
    /// Its key in the API.
    fn key(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Restore { .. } => "restore",
        }
    }

    fn base(&self) -> Option<&VersionVector> {
        match self {
            Self::Create(_) => None,
            Self::Update { base, .. } | Self::Delete { base } | Self::Restore { base } => Some(base),
        }
    }

    /// The kind of the geometry in it.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Create(new) => Some(new.geometry.kind()),
            Self::Update { geometry, .. } => geometry.as_ref().map(Geometry::kind),
            Self::Delete { .. } | Self::Restore { .. } => None,
        }
    }

    /// Whether it writes what a geometry is held against, or the geometry itself.
    fn moves(&self) -> bool {
        match self {
            Self::Create(_) => true,
            Self::Update { label, geometry, .. } => label.is_some() || geometry.is_some(),
            Self::Delete { .. } | Self::Restore { .. } => false,
        }
    }
}

/// What became of one edit.
#[derive(Clone, Debug, PartialEq)]
pub struct EditResult {
    /// The annotation.
    pub id: AnnotationId,
    /// What became of the edit.
    pub outcome: EditOutcome,
    /// Whether it had been accepted before; nothing was written then.
    pub repeated: bool,
    /// Why it was refused.
    pub rejection: Option<Rejection>,
    /// The annotation after the whole save, where the session sees it.
    pub annotation: Option<Annotation>,
    /// Its kind, where that is known.
    pub(crate) kind: Option<Kind>,
}

/// The edits of one save on their way.
pub(crate) struct Batch<'b> {
    locked: &'b Locked,
    session: &'b Session,
    canvas: Canvas<'b>,
    /// Every annotation with an id of the batch, in whatever task and slot.
    annotations: HashMap<AnnotationId, Annotation>,
    known: HashMap<EditName, Known>,
    /// Live annotations of the task.
    live: i64,
    by: UserId,
    accepted: Accepted,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// The annotations that changed.
    pub(crate) changed: BTreeSet<AnnotationId>,
    /// A revision for each accepted edit, in order.
    pub(crate) revisions: Vec<Revision>,
    /// How the numbers of live annotations move, by label.
    pub(crate) labels: BTreeMap<String, i32>,
}

impl<'b> Batch<'b> {
    /// A batch on the annotations found, with the number of live ones in the task.
    pub(crate) fn new(
        locked: &'b Locked,
        session: &'b Session,
        canvas: Canvas<'b>,
        (annotations, live): (HashMap<AnnotationId, Annotation>, i64),
    ) -> Self {
        let (known, by, accepted) = (HashMap::new(), session.user, Accepted::default());
        Self { locked, session, canvas, annotations, known, live, by, accepted }
    }

    /// The names of accepted edits that have to be known before the edits can be taken.
    pub(crate) fn names(&self, edits: &[AnnotationEdit]) -> std::collections::HashSet<EditName> {
        let name = |AnnotationEdit { id, action }: &AnnotationEdit| {
            let stored = self.within_reach(*id)?;
            let Some(base) = action.base() else { return Some(EditName::First(*id)) };
            let actor = &self.session.actor;
            let may_be_known = stored.state.may_know(base, actor);
            may_be_known.then(|| EditName::Dot(*id, base.epoch(), Dot::after(base, actor)))
        };
        edits.iter().filter_map(name).collect()
    }

    /// Learns of edits that were accepted before.
    pub(crate) fn learn(&mut self, known: HashMap<EditName, Known>) {
        self.known = known;
    }

    /// The kinds and assets whose rules will be asked.
    pub(crate) fn drawn(&self, edits: &[AnnotationEdit]) -> std::collections::HashSet<(Kind, AssetId)> {
        let drawn = |AnnotationEdit { id, action }: &AnnotationEdit| match action {
            EditAction::Create(new) => {
                let kind = self.canvas.tool(&new.tool)?.kind;
                Some((kind, self.canvas.place(kind, new.asset).ok()??))
            }
            action if action.moves() => self.within_reach(*id).and_then(|found| Some((found.kind, found.asset?))),
            _ => None,
        };
        edits.iter().filter_map(drawn).collect()
    }

    /// The canvas, to lay out more on it.
    pub(crate) fn canvas(&mut self) -> &mut Canvas<'b> {
        &mut self.canvas
    }

    /// Takes all edits, in order.
    pub(crate) fn run(
        mut self,
        edits: Vec<AnnotationEdit>,
    ) -> (Vec<EditResult>, HashMap<AnnotationId, Annotation>, Accepted) {
        let mut results: Vec<EditResult> =
            edits.into_iter().enumerate().map(|(index, edit)| self.take(index, edit)).collect();
        for result in &mut results {
            result.annotation = self.within_reach(result.id).cloned();
        }
        (results, self.annotations, self.accepted)
    }

    fn take(&mut self, index: usize, AnnotationEdit { id, action }: AnnotationEdit) -> EditResult {
        let key = action.key();
        let kind = action.kind().or_else(|| self.within_reach(id).map(|found| found.kind));
        let result =
            |outcome, repeated, rejection| EditResult { id, outcome, repeated, rejection, annotation: None, kind };
        match self.decide(id, action) {
            Ok(Taken::Now(outcome)) => result(outcome, false, None),
            Ok(Taken::Before(outcome)) => result(outcome, true, None),
            Err(mut rejection) => {
                rejection.field = format!("edits[{index}].{key}.{}", rejection.field);
                result(EditOutcome::Rejected, false, Some(rejection))
            }
        }
    }

    fn decide(&mut self, id: AnnotationId, action: EditAction) -> Result<Taken, Rejection> {
        let geometry_too = action.moves();
        let (made, edit) = match action {
            EditAction::Create(new) => self.creation(id, new)?,
            EditAction::Update { base, label, geometry, attributes } => {
                let found = self.must_be_within_reach(id)?;
                let attributes = attributes.map(object).transpose()?.unwrap_or_default();
                self.must_have_attributes(self.tool_of(found)?, &attributes)?;
                let geometry = geometry.map(Geometry::canonical);
                let said = json!({ "label": label, "geometry": geometry, "attributes": attributes });
                let patch = Patch { label, geometry, attributes };
                if patch.is_empty() {
                    let message = "give something to change: label, geometry or attributes";
                    return Err(Rejection::new(ErrorCode::BadUserInput, "id", message));
                }
                (None, self.edit(base, Change::Update(patch), &json!({ "update": said })))
            }
            EditAction::Delete { base } => (None, self.edit(base, Change::Delete, &json!("delete"))),
            EditAction::Restore { base } => (None, self.edit(base, Change::Restore, &json!("restore"))),
        };
        let before = self.within_reach(id);
        if before.is_none() && made.is_none() {
            return Err(no_such_annotation());
        }
        let Some(after) = before.or(made.as_ref()) else { return Err(no_such_annotation()) };
        let name = match &edit.change {
            Change::Create(_) => EditName::First(id),
            _ => EditName::Dot(id, edit.base.epoch(), edit.dot()),
        };
        let (tool, asset) = (self.tool_of(after)?, after.asset);
        let check = |content: &Content<Geometry>| self.canvas.check(tool, asset, content, geometry_too);
        let outcome = edit::decide(before.map(|before| &before.state), self.known.get(&name), &edit, check);
        match outcome {
            Outcome::Repeated(outcome) => Ok(Taken::Before(outcome)),
            Outcome::Rejected(rejection) => Err(rejection),
            Outcome::Applied { state, fields } => {
                let after = after.clone();
                self.accept(&edit, after, state, &fields)?;
                Ok(Taken::Now(EditOutcome::Applied))
            }
        }
    }

    fn edit(&self, base: VersionVector, change: Change<Geometry>, said: &Value) -> Edit<Geometry> {
        Edit { actor: self.session.actor.clone(), base, change, hash: EditHash::of(said) }
    }

    /// The annotation that a creation would make, and the creation.
    fn creation(
        &self,
        id: AnnotationId,
        new: NewAnnotation,
    ) -> Result<(Option<Annotation>, Edit<Geometry>), Rejection> {
        let slot = self.slot_for(new.slot)?;
        let no_tool = || Rejection::new(ErrorCode::BadUserInput, "tool", "the template of the task has no such tool");
        let tool = self.canvas.tool(&new.tool).ok_or_else(no_tool)?;
        let asset = self.canvas.place(tool.kind, new.asset)?;
        let attributes = new.attributes.map(object).transpose()?.unwrap_or_default();
        if self.annotations.get(&id).is_some_and(|found| found.task != self.locked.task.id || found.slot != slot) {
            return Err(edit::id_taken());
        }
        let geometry = new.geometry.canonical();
        let said = json!({
            "slot": slot, "asset": asset.map(|asset| asset.to_string()), "tool": new.tool, "label": new.label,
            "geometry": geometry, "attributes": attributes,
        });
        let content = Content { label: new.label, geometry, attributes, deleted: false };
        let change = Change::Create(content.clone());
        let edit = self.edit(VersionVector::first(), change, &json!({ "create": said }));
        let (now, by) = (self.locked.now, self.by);
        let made = Annotation {
            id,
            task: self.locked.task.id,
            slot,
            project: self.locked.project.id,
            asset,
            kind: tool.kind,
            tool: new.tool,
            // Replaced by what the rules say.
            state: Stored { content, vector: VersionVector::first(), last_dots: BTreeMap::new(), revision: 0 },
            source: AnnotationSource::Human,
            score: None,
            author: by,
            last_edited_by: by,
            created_at: now,
            updated_at: now,
        };
        Ok((Some(made), edit))
    }

    fn accept(
        &mut self,
        edit: &Edit<Geometry>,
        annotation: Annotation,
        state: Stored<Geometry>,
        fields: &[Field],
    ) -> Result<(), Rejection> {
        let id = annotation.id;
        let before = self.annotations.get(&id).map(|before| &before.state.content).filter(|content| !content.deleted);
        let is_more = before.is_none() && !state.content.deleted;
        if is_more && self.live >= limits::TASK_ANNOTATIONS {
            let message = format!("at most {} live annotations of one task", limits::TASK_ANNOTATIONS);
            return Err(Rejection::new(ErrorCode::LimitExceeded, "id", message));
        }
        let labels = &mut self.accepted.labels;
        if let Some(before) = before {
            *labels.entry(before.label.clone()).or_default() -= 1;
            self.live -= 1;
        }
        if !state.content.deleted {
            *labels.entry(state.content.label.clone()).or_default() += 1;
            self.live += 1;
        }
        let known = Known { hash: edit.hash, outcome: EditOutcome::Applied };
        self.known.insert(EditName::Dot(id, edit.base.epoch(), edit.dot()), known);
        if state.revision == 1 {
            self.known.insert(EditName::First(id), known);
        }
        let made = (self.by, self.locked.now);
        self.accepted.revisions.push(Revision::applied(id, edit, &state, fields, made));
        self.accepted.changed.insert(id);
        let (last_edited_by, updated_at) = (self.by, self.locked.now);
        self.annotations.insert(id, Annotation { state, last_edited_by, updated_at, ..annotation });
        Ok(())
    }

    /// The slot of a new annotation.
    fn slot_for(&self, asked: Option<i32>) -> Result<i32, Rejection> {
        let wrong = |message: &str| Rejection::new(ErrorCode::BadUserInput, "slot", message);
        let slot = match (asked, self.session.slot) {
            (None, Some(own)) => own,
            (Some(asked), Some(own)) if asked == own => own,
            (Some(_), Some(own)) => return Err(wrong(&format!("the session is on slot {own}"))),
            (Some(asked), None) => asked,
            (None, None) => return Err(wrong("the review is of several slots: say which")),
        };
        if self.is_open(slot) { Ok(slot) } else { Err(wrong("the slot is not under review")) }
    }

    /// Whether the session edits in this slot: its own, or one under its review.
    fn is_open(&self, slot: i32) -> bool {
        match self.session.role {
            SessionRole::Holder | SessionRole::Collaborator => self.session.slot == Some(slot),
            SessionRole::Reviewer => {
                let state = self.locked.index(slot).map(|index| self.locked.slots[index].state);
                state == Some(SlotState::Submitted) && self.session.slot.is_none_or(|own| own == slot)
            }
        }
    }

    /// The annotation, where the session edits it.
    fn within_reach(&self, id: AnnotationId) -> Option<&Annotation> {
        self.annotations.get(&id).filter(|found| found.task == self.locked.task.id && self.is_open(found.slot))
    }

    fn must_be_within_reach(&self, id: AnnotationId) -> Result<&Annotation, Rejection> {
        self.within_reach(id).ok_or_else(no_such_annotation)
    }

    fn tool_of(&self, annotation: &Annotation) -> Result<&Tool, Rejection> {
        // It was checked when the annotation was made, and the template has not changed since.
        let no_tool = || Rejection::new(ErrorCode::BadUserInput, "tool", "the template of the task has no such tool");
        self.canvas.tool(&annotation.tool).ok_or_else(no_tool)
    }

    /// A patch names attributes of the tool only: what it names is remembered as written.
    fn must_have_attributes(&self, tool: &Tool, patch: &Map<String, Value>) -> Result<(), Rejection> {
        let unknown = patch.keys().find(|name| !tool.attributes.iter().any(|attribute| attribute.name == **name));
        unknown.map_or(Ok(()), |name| {
            let message = format!("the tool \"{}\" has no such attribute", tool.name);
            Err(Rejection::new(ErrorCode::BadUserInput, format!("attributes.{name}"), message))
        })
    }
}

/// How an edit was accepted.
enum Taken {
    Now(EditOutcome),
    Before(EditOutcome),
}

fn no_such_annotation() -> Rejection {
    Rejection::new(ErrorCode::NotFound, "id", "no such annotation in the session's slot")
}

fn object(value: Value) -> Result<Map<String, Value>, Rejection> {
    match canonical(value) {
        Value::Object(entries) => Ok(entries),
        _ => Err(Rejection::new(ErrorCode::BadUserInput, "attributes", "must be a JSON object")),
    }
}
