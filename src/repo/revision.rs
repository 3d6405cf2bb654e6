//! Revisions: every accepted state of every annotation, and the edit that led to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::annotation_revision::{Column, Entity, Model};
use sea_orm::{
    EntityTrait, QueryTrait,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        edit::{Content, Dot, Edit, EditHash, Field, Known, Stored},
        ids::{AnnotationId, ConflictId, UserId},
        page::{Page, Slice},
        version_vector::{SERVER, VersionVector},
        words::EditOutcome,
    },
    kind::Geometry,
    repo::{
        Conn, RepoError,
        annotation::{self, Annotation, content, to_json},
        keyset,
        sql::{self, FilterBy, json, value, word},
    },
};

/// One accepted state of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Whose it is.
    pub annotation: AnnotationId,
    /// From 1.
    pub number: i32,
    /// The epoch of the edit that led to it, as its author counts.
    pub epoch: i32,
    /// That edit.
    pub dot: Dot,
    /// What tells that edit from others of its dot.
    pub hash: EditHash,
    /// What became of the edit.
    pub outcome: EditOutcome,
    /// The fields the edit wrote.
    pub fields: Vec<String>,
    /// What the annotation said then.
    pub content: Content<Geometry>,
    /// The edits in it.
    pub vector: VersionVector,
    /// Whose edit it was.
    pub by: Option<UserId>,
    /// Who had changed last what it says.
    pub last_edited_by: UserId,
    /// When.
    pub at: DateTime<Utc>,
    /// The conflict that the edit became, or went into.
    pub conflict: Option<ConflictId>,
}

impl Revision {
    /// The revision that an edit led to.
    #[must_use]
    pub fn of(
        annotation: AnnotationId,
        edit: &Edit<Geometry>,
        state: &Stored<Geometry>,
        outcome: EditOutcome,
        written: &[Field],
        (by, at): (UserId, DateTime<Utc>),
    ) -> Self {
        let (epoch, dot) = edit.name();
        Self {
            annotation,
            number: state.revision,
            epoch,
            dot,
            hash: edit.hash,
            outcome,
            fields: written.iter().map(ToString::to_string).collect(),
            content: state.content.clone(),
            vector: state.vector.clone(),
            by: Some(by),
            last_edited_by: by,
            at,
            conflict: None,
        }
    }

    /// The revision that the server itself led to, with an edit of the dot that the vector holds last of its actor.
    #[must_use]
    pub fn of_server(
        annotation: AnnotationId,
        state: &Stored<Geometry>,
        hash: EditHash,
        written: &[Field],
        (by, last_edited_by): (Option<UserId>, UserId),
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            annotation,
            number: state.revision,
            epoch: state.vector.epoch(),
            dot: Dot { actor: SERVER.to_owned(), counter: state.vector.counter(SERVER) },
            hash,
            outcome: EditOutcome::Applied,
            fields: written.iter().map(ToString::to_string).collect(),
            content: state.content.clone(),
            vector: state.vector.clone(),
            by,
            last_edited_by,
            at,
            conflict: None,
        }
    }
}

impl TryFrom<Model> for Revision {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            annotation: AnnotationId(row.annotation_id),
            number: row.revision,
            epoch: row.vector_epoch,
            dot: Dot { actor: row.actor, counter: row.counter },
            hash: hash(&row.edit_hash)?,
            outcome: word(&row.outcome)?,
            fields: json(row.fields)?,
            content: content(row.label, row.geometry, row.attributes, row.deleted)?,
            vector: json(row.version_vector)?,
            by: row.by_user.map(UserId),
            last_edited_by: UserId(row.last_edited_by),
            at: row.at,
            conflict: row.conflict_id.map(ConflictId),
        })
    }
}

fn hash(bytes: &[u8]) -> Result<EditHash, RepoError> {
    let bytes = bytes.try_into().map_err(|_| RepoError::Corrupt("an edit's hash is not 32 bytes long".into()))?;
    Ok(EditHash(bytes))
}

/// Keeps new revisions.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert(conn: &impl Conn, revisions: &[Revision]) -> Result<(), RepoError> {
    let rows = revisions.iter().map(row).collect::<Result<_, RepoError>>()?;
    sql::insert_all(conn, Entity, COLUMNS, rows).await
}

/// As [`insert`], of very many.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert_many(conn: &impl Conn, revisions: &[Revision]) -> Result<(), RepoError> {
    sql::insert_many(conn, Entity, COLUMNS, revisions.iter().map(row)).await
}

const COLUMNS: [Column; 17] = {
    use Column as C;
    [
        C::AnnotationId,
        C::Revision,
        C::VectorEpoch,
        C::Actor,
        C::Counter,
        C::EditHash,
        C::Outcome,
        C::Fields,
        C::Label,
        C::Geometry,
        C::Attributes,
        C::Deleted,
        C::VersionVector,
        C::ByUser,
        C::LastEditedBy,
        C::At,
        C::ConflictId,
    ]
};

fn row(revision: &Revision) -> Result<[Expr; 17], RepoError> {
    Ok([
        value(revision.annotation.0),
        value(revision.number),
        value(revision.epoch),
        value(revision.dot.actor.clone()),
        value(revision.dot.counter),
        value(revision.hash.0.to_vec()),
        value(revision.outcome.as_str()),
        value(to_json(&revision.fields)?),
        value(revision.content.label.clone()),
        value(to_json(&revision.content.geometry)?),
        value(to_json(&revision.content.attributes)?),
        value(revision.content.deleted),
        value(to_json(&revision.vector)?),
        value(revision.by.map(|user| user.0)),
        value(revision.last_edited_by.0),
        value(revision.at),
        value(revision.conflict.map(|conflict| conflict.0)),
    ])
}

/// The name of an accepted edit: the annotation, the epoch of its base, its dot; or the revision it made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EditName {
    /// The edit of this dot.
    Dot(AnnotationId, i32, Dot),
    /// The edit that made this revision.
    Revision(AnnotationId, i32),
}

/// Those of the named edits that were accepted.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_known(conn: &impl Conn, names: &HashSet<EditName>) -> Result<HashMap<EditName, Known>, RepoError> {
    use Column as C;
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let (mut dots, mut revisions) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            EditName::Dot(id, epoch, dot) => dots.push((id.0, *epoch, dot.actor.clone(), dot.counter)),
            EditName::Revision(id, number) => revisions.push((id.0, *number)),
        }
    }
    let dot = Expr::tuple([C::AnnotationId, C::VectorEpoch, C::Actor, C::Counter].map(Expr::col));
    let revision = Expr::tuple([C::AnnotationId, C::Revision].map(Expr::col));
    let select = Query::select()
        .columns([
            C::AnnotationId,
            C::Revision,
            C::VectorEpoch,
            C::Actor,
            C::Counter,
            C::EditHash,
            C::Outcome,
            C::ConflictId,
        ])
        .from(Entity)
        .and_where(dot.in_tuples(dots).or(revision.in_tuples(revisions)))
        .to_owned();
    let mut known = HashMap::with_capacity(names.len());
    for row in conn.query_all(&select).await? {
        let id = AnnotationId(row.try_get("", "annotation_id")?);
        let bytes: Vec<u8> = row.try_get("", "edit_hash")?;
        let edit = Known {
            hash: hash(&bytes)?,
            outcome: word(&row.try_get::<String>("", "outcome")?)?,
            conflict: row.try_get::<Option<Uuid>>("", "conflict_id")?.map(ConflictId),
        };
        let dot = Dot { actor: row.try_get("", "actor")?, counter: row.try_get("", "counter")? };
        known.insert(EditName::Dot(id, row.try_get("", "vector_epoch")?, dot), edit);
        known.insert(EditName::Revision(id, row.try_get("", "revision")?), edit);
    }
    Ok(known)
}

/// What merging looks up of the past, of many annotations at once.
#[derive(Debug, Default)]
pub struct Past {
    /// What annotations said, and the edits in that, by annotation and revision.
    pub states: HashMap<(AnnotationId, i32), (VersionVector, Content<Geometry>)>,
    /// Whose edits these are, by annotation, epoch and dot.
    pub authors: HashMap<(AnnotationId, i32, Dot), UserId>,
}

/// The states of these revisions, and the authors of these dots.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn look_back(
    conn: &impl Conn,
    states: &HashSet<(AnnotationId, i32)>,
    dots: &HashSet<(AnnotationId, i32, Dot)>,
) -> Result<Past, RepoError> {
    use Column as C;
    if states.is_empty() && dots.is_empty() {
        return Ok(Past::default());
    }
    let number = Expr::tuple([C::AnnotationId, C::Revision].map(Expr::col));
    let dot = Expr::tuple([C::AnnotationId, C::VectorEpoch, C::Actor, C::Counter].map(Expr::col));
    let dots = dots.iter().map(|(id, epoch, dot)| (id.0, *epoch, dot.actor.clone(), dot.counter));
    let wanted = number.in_tuples(states.iter().map(|(id, revision)| (id.0, *revision))).or(dot.in_tuples(dots));
    let rows: Vec<Revision> = sql::all::<Model, _>(conn, &Entity::find().filter_by(wanted)).await?;
    let mut past = Past::default();
    for revision in rows {
        if let Some(by) = revision.by {
            past.authors.insert((revision.annotation, revision.epoch, revision.dot), by);
        }
        past.states.insert((revision.annotation, revision.number), (revision.vector, revision.content));
    }
    Ok(past)
}

/// Annotations as they were at revisions that the asker may see; one that is not there any more is left out.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_as_of(
    conn: &impl Conn,
    revisions: &[(AnnotationId, i32)],
) -> Result<HashMap<(AnnotationId, i32), Annotation>, RepoError> {
    use Column as C;
    let name = Expr::tuple([C::AnnotationId, C::Revision].map(Expr::col));
    let wanted = revisions.iter().map(|(id, number)| (id.0, *number));
    let then: Vec<Revision> = {
        let select = Entity::find().filter_by(name.in_tuples(wanted));
        sql::all::<Model, _>(conn, &select).await?
    };
    let ids: HashSet<Uuid> = then.iter().map(|revision| revision.annotation.0).collect();
    let now: Vec<Annotation> = annotation::find_all(conn, ids).await?;
    let now: HashMap<AnnotationId, Annotation> = now.into_iter().map(|row| (row.id, row)).collect();
    let as_of = |revision: Revision| {
        let now = now.get(&revision.annotation)?;
        let name = (revision.annotation, revision.number);
        // The dots of fields are for deciding about edits, which never meet an old state.
        let state = Stored {
            content: revision.content,
            vector: revision.vector,
            last_dots: BTreeMap::new(),
            revision: revision.number,
            cut: None,
        };
        let last_edited_by = revision.last_edited_by;
        Some((name, Annotation { state, last_edited_by, updated_at: revision.at, ..now.clone() }))
    };
    Ok(then.into_iter().filter_map(as_of).collect())
}

/// The same page of the revisions of many annotations the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn pages(
    conn: &impl Conn,
    annotations: &[AnnotationId],
    page: &Page<i32>,
) -> Result<HashMap<AnnotationId, Slice<Revision>>, RepoError> {
    use Column as C;
    let page = keyset::bind(page, |number| [number.into()]);
    let select = Entity::find().into_query();
    let keys = [keyset::ascending(C::Revision)];
    let parents = of_annotations(annotations);
    let found = keyset::slices::<Model, _, 1>(conn, select, parents, keys, page).await?;
    Ok(found.into_iter().map(|(id, slice)| (AnnotationId(id), slice)).collect())
}

/// How many revisions each annotation has, up to the counting limit.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn counts(
    conn: &impl Conn,
    annotations: &[AnnotationId],
) -> Result<HashMap<AnnotationId, Option<u64>>, RepoError> {
    let select = Entity::find().into_query();
    let found = keyset::counts(conn, select, of_annotations(annotations)).await?;
    Ok(found.into_iter().map(|(id, count)| (AnnotationId(id), count)).collect())
}

fn of_annotations(annotations: &[AnnotationId]) -> keyset::Parents {
    keyset::Parents::new(Column::AnnotationId, annotations.iter().map(|id| id.0))
}
