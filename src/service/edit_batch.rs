//! The edits of one save, taken one after the other on the state in memory: each meets what those in front of it left,
//! and a fault of one is its own outcome. Nothing is written here; what is to be written is collected.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        edit::{Change, Content, Dot, Edit, EditHash, Field, Known, Patch, Rejection, Stored, canonical},
        ids::{AnnotationId, AssetId, ConflictId, UserId},
        limits,
        merge::{self, Fence, Meeting, Outcome, Raised},
        template::Tool,
        version_vector::VersionVector,
        words::{AnnotationSource, EditOutcome, ErrorCode, Kind, ReviewPolicy, SessionRole, SlotState, TaskState},
    },
    kind::Geometry,
    repo::{
        annotation::Annotation,
        conflict::Conflict,
        revision::{EditName, Past, Revision},
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

    /// Whether it may be in conflict about this field.
    fn touches(&self, field: &Field) -> bool {
        match (self, field) {
            (Self::Update { geometry, .. }, Field::Geometry) => geometry.is_some(),
            (Self::Update { label, .. }, Field::Label) => label.is_some(),
            (Self::Update { attributes, .. }, Field::Attribute(name)) => {
                attributes.as_ref().is_some_and(|attributes| attributes.get(name).is_some())
            }
            (Self::Update { .. } | Self::Delete { .. } | Self::Restore { .. }, _) => true,
            (Self::Create(_), _) => false,
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
    /// Of a merge, what others changed since the base; of a conflict, what it is about.
    pub fields: Vec<Field>,
    /// Why it was refused.
    pub rejection: Option<Rejection>,
    /// The annotation after the whole save, where the session sees it.
    pub annotation: Option<Annotation>,
    /// The conflict it became, or went into.
    pub conflict: Option<ConflictId>,
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
    /// Live annotations of the task.
    live: i64,
    /// What was looked up about the edits.
    background: Background,
    /// What the author of the last edit of an annotation, made on an older state, sees of it: what its next edit is made on.
    views: HashMap<AnnotationId, (VersionVector, Content<Geometry>)>,
    by: UserId,
    accepted: Accepted,
}

/// What the database knows about the edits of a batch.
#[derive(Debug, Default)]
pub(crate) struct Background {
    /// Those that were accepted before.
    pub(crate) known: HashMap<EditName, Known>,
    /// Open conflicts, oldest first.
    pub(crate) conflicts: HashMap<AnnotationId, Vec<Conflict>>,
    /// What authors who have not seen all saw.
    pub(crate) past: Past,
}

/// What of the database has to be known before edits can be taken.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Edits that may have been accepted before.
    pub(crate) names: HashSet<EditName>,
    /// Revisions that authors saw who have not seen all.
    pub(crate) states: HashSet<(AnnotationId, i32)>,
    /// Edits that they have not seen, by annotation and epoch.
    pub(crate) dots: HashSet<(AnnotationId, i32, Dot)>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// The annotations that changed.
    pub(crate) changed: BTreeSet<AnnotationId>,
    /// A revision for each accepted edit, in order.
    pub(crate) revisions: Vec<Revision>,
    /// Conflicts that came to be, or whose edit was replaced by a later one of its author.
    pub(crate) conflicts: BTreeMap<ConflictId, Conflict>,
    /// How many of them came to be.
    pub(crate) raised: i32,
    /// How the numbers of live annotations move, by label.
    pub(crate) labels: BTreeMap<String, i32>,
}

/// What a batch did.
pub(crate) struct Done {
    /// What became of each edit, in order.
    pub(crate) results: Vec<EditResult>,
    /// The annotations as they are now.
    pub(crate) annotations: HashMap<AnnotationId, Annotation>,
    /// What is to be written.
    pub(crate) accepted: Accepted,
}

impl<'b> Batch<'b> {
    /// A batch on the annotations found, with the number of live ones in the task.
    pub(crate) fn new(
        locked: &'b Locked,
        session: &'b Session,
        canvas: Canvas<'b>,
        (annotations, live): (HashMap<AnnotationId, Annotation>, i64),
    ) -> Self {
        let (by, views) = (session.user, HashMap::new());
        let (background, accepted) = (Background::default(), Accepted::default());
        Self { locked, session, canvas, annotations, live, background, views, by, accepted }
    }

    /// What the batch has to know of the past.
    pub(crate) fn questions(&self, edits: &[AnnotationEdit]) -> Questions {
        let (mut questions, actor) = (Questions::default(), &self.session.actor);
        for AnnotationEdit { id, action } in edits {
            let Some(stored) = self.within_reach(*id).map(|found| &found.state) else { continue };
            let Some(base) = action.base() else {
                questions.names.insert(EditName::Revision(*id, 1));
                continue;
            };
            let base = stored.base_of(base.clone(), actor);
            if stored.may_know(&base, actor) {
                questions.names.insert(EditName::Dot(*id, base.epoch(), Dot::after(&base, actor)));
            } else if let Some(revision) = stored.revision_at(&base) {
                questions.states.insert((*id, revision));
                // Only for saying whose work it was: what is written too, or for a deletion anything.
                let news = stored.news(&base).into_iter().filter(|field| action.touches(field));
                let dots = news.filter_map(|field| stored.last_dots.get(&field));
                let epoch = base.epoch();
                questions.dots.extend(dots.take(limits::LOOKED_BACK).map(|dot| (*id, epoch, dot.clone())));
            }
        }
        questions
    }

    /// Learns what the database knows.
    pub(crate) fn learn(&mut self, background: Background) {
        self.background = background;
    }

    /// The annotations of the session's slot.
    pub(crate) fn found(&self) -> impl Iterator<Item = AnnotationId> {
        self.annotations.values().filter(|found| self.fence_in(found.slot).is_some()).map(|found| found.id)
    }

    /// The kinds and assets whose rules will be asked.
    pub(crate) fn drawn(&self, edits: &[AnnotationEdit]) -> HashSet<(Kind, AssetId)> {
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
    pub(crate) fn run(mut self, edits: Vec<AnnotationEdit>) -> Done {
        let mut results: Vec<EditResult> =
            edits.into_iter().enumerate().map(|(index, edit)| self.take(index, edit)).collect();
        for result in &mut results {
            result.annotation = self.within_reach(result.id).filter(|found| self.sees(found.slot)).cloned();
        }
        Done { results, annotations: self.annotations, accepted: self.accepted }
    }

    fn take(&mut self, index: usize, AnnotationEdit { id, action }: AnnotationEdit) -> EditResult {
        let key = action.key();
        let kind = action.kind().or_else(|| self.within_reach(id).map(|found| found.kind));
        let mut result = EditResult {
            id,
            outcome: EditOutcome::Rejected,
            repeated: false,
            fields: Vec::new(),
            rejection: None,
            annotation: None,
            conflict: None,
            kind,
        };
        match self.decide(id, action) {
            Ok(Taken { outcome, repeated, fields, conflict }) => {
                (result.outcome, result.repeated) = (outcome, repeated);
                (result.fields, result.conflict) = (fields, conflict);
            }
            Err(mut rejection) => {
                rejection.field = format!("edits[{index}].{key}.{}", rejection.field);
                result.rejection = Some(rejection);
            }
        }
        result
    }

    fn decide(&mut self, id: AnnotationId, action: EditAction) -> Result<Taken, Rejection> {
        let geometry_too = action.moves();
        let (made, edit) = match action {
            EditAction::Create(new) => self.creation(id, new)?,
            EditAction::Update { base, label, geometry, attributes } => {
                let found = self.must_be_within_reach(id)?;
                let attributes = attributes.map(object).transpose()?.unwrap_or_default();
                Canvas::must_have_attributes(self.tool_of(found)?, &attributes)?;
                let geometry = geometry.map(Geometry::canonical);
                let said = json!({ "label": label, "geometry": geometry, "attributes": attributes });
                let patch = Patch { label, geometry, attributes, deleted: None };
                if patch.is_empty() {
                    let message = "give something to change: label, geometry or attributes";
                    return Err(Rejection::new(ErrorCode::BadUserInput, "id", message));
                }
                (None, self.edit(id, base, patch, &json!({ "update": said }))?)
            }
            EditAction::Delete { base } => (None, self.edit(id, base, Patch::deleted(true), &json!("delete"))?),
            EditAction::Restore { base } => (None, self.edit(id, base, Patch::deleted(false), &json!("restore"))?),
        };
        let found = self.within_reach(id);
        let is_there = found.is_some();
        let annotation = found.cloned().or(made).ok_or_else(no_such_annotation)?;
        let name = match &edit.change {
            Change::Create(_) => EditName::Revision(id, 1),
            Change::Write(_) => EditName::Dot(id, edit.base.epoch(), edit.dot()),
        };
        let (tool, asset, slot) = (self.tool_of(&annotation)?, annotation.asset, annotation.slot);
        let mut stored = is_there.then_some(annotation.state);
        let before = stored.as_ref().map(|stored| stored.vector.clone());
        let seen = stored.as_ref().and_then(|stored| self.seen(id, stored, &edit.base));
        let siblings: Vec<_> = self.conflicts_of(id).iter().map(|conflict| conflict.sibling.clone()).collect();
        let meeting = Meeting {
            fence: self.fence_in(slot).ok_or_else(no_such_annotation)?,
            known: self.background.known.get(&name),
            seen,
            siblings: &siblings,
            has_room: self.live < limits::TASK_ANNOTATIONS,
            may_wait: self.locked.task.open_conflicts + self.accepted.raised < limits::TASK_CONFLICTS,
        };
        let check = |content: &Content<Geometry>| self.canvas.check(tool, asset, content, geometry_too);
        match merge::decide(&mut stored, &edit, &meeting, check) {
            Outcome::Repeated(known) => Ok(self.taken_before(id, &edit, known)),
            Outcome::Rejected(rejection) => Err(rejection),
            Outcome::Accepted(accepted) => {
                let state = stored.ok_or_else(no_such_annotation)?;
                let seen = seen.cloned();
                self.follow_view(id, &edit, before.as_ref(), seen.as_ref());
                Ok(self.accept(&edit, Annotation { state, ..annotation }, accepted, seen))
            }
        }
    }

    /// What an edit that was accepted before tells its author now.
    fn taken_before(&self, id: AnnotationId, edit: &Edit<Geometry>, known: Known) -> Taken {
        let open = self.conflicts_of(id).iter().find(|conflict| Some(conflict.id) == known.conflict);
        let stored = self.within_reach(id).map(|found| &found.state);
        let stored = stored.filter(|_| self.within_reach(id).is_some_and(|found| self.sees(found.slot)));
        let fields = match (known.outcome, open, stored) {
            (EditOutcome::Conflict, Some(open), Some(_)) => open.sibling.fields.clone(),
            (EditOutcome::Merged, _, Some(stored)) if edit.base.epoch() == stored.vector.epoch() => {
                stored.news(&edit.base.clone().with(&edit.dot()))
            }
            _ => Vec::new(),
        };
        Taken { outcome: known.outcome, repeated: true, fields, conflict: known.conflict }
    }

    /// What the author of an edit with this base saw, where that can be told.
    fn seen(&self, id: AnnotationId, stored: &Stored<Geometry>, base: &VersionVector) -> Option<&Content<Geometry>> {
        let view = self.views.get(&id);
        let then = || self.background.past.states.get(&(id, stored.revision_at(base)?));
        view.filter(|(vector, _)| vector == base)
            .or_else(|| then().filter(|(vector, _)| vector == base))
            .map(|(_, content)| content)
    }

    /// Remembers what the author sees now, where that differs from what is stored.
    fn follow_view(
        &mut self,
        id: AnnotationId,
        edit: &Edit<Geometry>,
        before: Option<&VersionVector>,
        seen: Option<&Content<Geometry>>,
    ) {
        self.views.remove(&id);
        if let (Some(seen), Change::Write(patch)) = (seen.filter(|_| before != Some(&edit.base)), &edit.change) {
            let vector = edit.base.clone().with(&edit.dot());
            self.views.insert(id, (vector, seen.clone().with(patch.clone())));
        }
    }

    fn conflicts_of(&self, id: AnnotationId) -> &[Conflict] {
        self.background.conflicts.get(&id).map_or(&[], Vec::as_slice)
    }

    fn edit(
        &self,
        id: AnnotationId,
        base: VersionVector,
        patch: Patch<Geometry>,
        said: &Value,
    ) -> Result<Edit<Geometry>, Rejection> {
        let actor = self.session.actor.clone();
        let base = self.must_be_within_reach(id)?.state.base_of(base, &actor);
        Ok(Edit { actor, base, change: Change::Write(patch), hash: EditHash::of(said) })
    }

    /// The annotation that a creation would make, and the creation.
    fn creation(
        &self,
        id: AnnotationId,
        new: NewAnnotation,
    ) -> Result<(Option<Annotation>, Edit<Geometry>), Rejection> {
        let slot = self.slot_for(new.slot, self.annotations.contains_key(&id))?;
        let no_tool = || Rejection::new(ErrorCode::BadUserInput, "tool", "the template of the task has no such tool");
        let tool = self.canvas.tool(&new.tool).ok_or_else(no_tool)?;
        let asset = self.canvas.place(tool.kind, new.asset)?;
        let attributes = new.attributes.map(object).transpose()?.unwrap_or_default();
        if self.annotations.get(&id).is_some_and(|found| found.task != self.locked.task.id || found.slot != slot) {
            return Err(merge::id_taken());
        }
        let geometry = new.geometry.canonical();
        let said = json!({
            "slot": slot, "asset": asset.map(|asset| asset.to_string()), "tool": new.tool, "label": new.label,
            "geometry": geometry, "attributes": attributes,
        });
        let content = Content { label: new.label, geometry, attributes, deleted: false };
        let edit = Edit {
            actor: self.session.actor.clone(),
            base: VersionVector::first(),
            change: Change::Create(content.clone()),
            hash: EditHash::of(&json!({ "create": said })),
        };
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
            state: Stored {
                content,
                vector: VersionVector::first(),
                last_dots: BTreeMap::new(),
                revision: 0,
                cut: None,
            },
            source: AnnotationSource::Human,
            score: None,
            author: by,
            last_edited_by: by,
            created_at: now,
            updated_at: now,
        };
        Ok((Some(made), edit))
    }

    /// Takes note of an edit that was accepted; `annotation` is as it is after it.
    fn accept(
        &mut self,
        edit: &Edit<Geometry>,
        annotation: Annotation,
        accepted: merge::Accepted<Geometry>,
        seen: Option<Content<Geometry>>,
    ) -> Taken {
        let merge::Accepted { outcome, written, fields, raised } = accepted;
        let (id, now) = (annotation.id, self.locked.now);
        let conflict = raised.map(|raised| self.raise(&annotation, raised, seen));
        let before = self.annotations.get(&id).map(|before| &before.state.content).filter(|content| !content.deleted);
        let labels = &mut self.accepted.labels;
        if let Some(before) = before {
            *labels.entry(before.label.clone()).or_default() -= 1;
            self.live -= 1;
        }
        if !annotation.state.content.deleted {
            *labels.entry(annotation.state.content.label.clone()).or_default() += 1;
            self.live += 1;
        }
        let known = Known { hash: edit.hash, outcome, conflict };
        self.background.known.insert(EditName::Dot(id, edit.base.epoch(), edit.dot()), known);
        if annotation.state.revision == 1 {
            self.background.known.insert(EditName::Revision(id, 1), known);
        }
        let revision = Revision::of(id, edit, &annotation.state, outcome, &written, (self.by, now));
        self.accepted.revisions.push(Revision { conflict, ..revision });
        self.accepted.changed.insert(id);
        // An edit that waits beside it has changed nothing of what it says.
        let last_edited_by = if outcome == EditOutcome::Conflict { annotation.last_edited_by } else { self.by };
        self.annotations.insert(id, Annotation { last_edited_by, updated_at: now, ..annotation });
        Taken { outcome, repeated: false, fields, conflict }
    }

    /// Keeps an edit beside the current state.
    fn raise(
        &mut self,
        annotation: &Annotation,
        raised: Raised<Geometry>,
        seen: Option<Content<Geometry>>,
    ) -> ConflictId {
        let Raised { sibling, replaces } = raised;
        let current_by = self.author_of(annotation, &sibling.fields);
        let open = self.background.conflicts.entry(annotation.id).or_default();
        let index = replaces.unwrap_or(open.len());
        match open.get_mut(index) {
            Some(conflict) => (conflict.sibling, conflict.current_by) = (sibling, current_by),
            None => {
                self.accepted.raised += 1;
                open.push(Conflict {
                    id: ConflictId::generate(),
                    project: annotation.project,
                    task: annotation.task,
                    slot: annotation.slot,
                    annotation: annotation.id,
                    sibling,
                    base: seen,
                    incoming_by: self.by,
                    current_by,
                    raised_at: self.locked.now,
                    resolution: None,
                });
            }
        }
        let conflict = &open[index];
        self.accepted.conflicts.insert(conflict.id, conflict.clone());
        conflict.id
    }

    /// Who wrote what an edit to these fields met.
    fn author_of(&self, annotation: &Annotation, fields: &[Field]) -> UserId {
        let (state, authors) = (&annotation.state, &self.background.past.authors);
        let name = |dot: &Dot| (annotation.id, state.vector.epoch(), dot.clone());
        let mut known = fields.iter().filter_map(|field| authors.get(&name(state.last_dots.get(field)?)));
        // Of a deletion against edits, who made the last of these.
        known.next().copied().unwrap_or(annotation.last_edited_by)
    }

    /// The slot of a new annotation.
    fn slot_for(&self, asked: Option<i32>, is_known: bool) -> Result<i32, Rejection> {
        let wrong = |message: &str| Rejection::new(ErrorCode::BadUserInput, "slot", message);
        let slot = match (asked, self.session.slot) {
            (None, Some(own)) => own,
            (Some(asked), Some(own)) if asked == own => own,
            (Some(_), Some(own)) => return Err(wrong(&format!("the session is on slot {own}"))),
            (Some(asked), None) => asked,
            (None, None) => return Err(wrong("the review is of several slots: say which")),
        };
        match self.fence_in(slot) {
            Some(Fence::Holds) => Ok(slot),
            // A creation that was made before is recognised, and in time no other is meant.
            Some(_) if is_known || !self.locked.holds(self.session) => Ok(slot),
            _ => Err(wrong("the slot is not under review")),
        }
    }

    /// Whether the session's fence holds in this slot.
    pub(crate) fn holds(&self, slot: i32) -> bool {
        self.fence_in(slot) == Some(Fence::Holds)
    }

    /// Whether the session's fence holds in this slot; none: the session does not edit in it. A review is of the slots
    /// that wait for a verdict; once it has ended, of any.
    fn fence_in(&self, number: i32) -> Option<Fence> {
        let slot = self.locked.slots.iter().find(|slot| slot.number == number)?;
        if self.session.slot.is_some_and(|own| own != number) {
            return None;
        }
        let is_open = self.session.role != SessionRole::Reviewer || slot.state == SlotState::Submitted;
        if is_open && self.locked.holds(self.session) {
            return Some(Fence::Holds);
        }
        let is_final = match slot.state {
            SlotState::Accepted | SlotState::Skipped => true,
            // Nobody will look at it any more.
            SlotState::Submitted => self.locked.project.review == ReviewPolicy::None,
            SlotState::Free | SlotState::Leased | SlotState::Rejected => false,
        };
        let is_over = is_final || self.locked.task.state == TaskState::Archived;
        Some(if is_over { Fence::Closed } else { Fence::Ended })
    }

    /// Whether the viewer may see what is in this slot: who labels blind and holds it no more does not.
    fn sees(&self, number: i32) -> bool {
        let slot = self.locked.slots.iter().find(|slot| slot.number == number);
        let is_own =
            slot.is_some_and(|slot| [slot.holder, slot.submitted_by, slot.reserved_for].contains(&Some(self.by)));
        is_own || !self.locked.standing.is_blind(self.locked.project.overlap)
    }

    /// The annotation, where the session edits it.
    fn within_reach(&self, id: AnnotationId) -> Option<&Annotation> {
        let found = self.annotations.get(&id)?;
        (found.task == self.locked.task.id && self.fence_in(found.slot).is_some()).then_some(found)
    }

    fn must_be_within_reach(&self, id: AnnotationId) -> Result<&Annotation, Rejection> {
        self.within_reach(id).ok_or_else(no_such_annotation)
    }

    fn tool_of(&self, annotation: &Annotation) -> Result<&Tool, Rejection> {
        // It was checked when the annotation was made, and the template has not changed since.
        let no_tool = || Rejection::new(ErrorCode::BadUserInput, "tool", "the template of the task has no such tool");
        self.canvas.tool(&annotation.tool).ok_or_else(no_tool)
    }
}

/// How an edit was accepted.
struct Taken {
    outcome: EditOutcome,
    /// Before this batch, or in front of it in the batch.
    repeated: bool,
    fields: Vec<Field>,
    conflict: Option<ConflictId>,
}

fn no_such_annotation() -> Rejection {
    Rejection::new(ErrorCode::NotFound, "id", "no such annotation in the session's slot")
}

/// The attributes that somebody gave.
pub(crate) fn object(value: Value) -> Result<Map<String, Value>, Rejection> {
    match canonical(value) {
        Value::Object(entries) => Ok(entries),
        _ => Err(Rejection::new(ErrorCode::BadUserInput, "attributes", "must be a JSON object")),
    }
}
