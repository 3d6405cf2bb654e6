//! The closed vocabularies as GraphQL enums; what the words mean is said in `domain::words`.

use async_graphql::Enum;

use crate::domain::words as domain;

/// What a member may do in a project; each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Role")]
pub(in crate::graphql) enum Role {
    /// Reads everything of the project.
    Viewer,
    /// Claims, labels and submits.
    Annotator,
    /// Reviews the work of others.
    Reviewer,
    /// Runs the project.
    Manager,
}

/// Whether a project hands out work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ProjectState")]
pub(in crate::graphql) enum ProjectState {
    /// Tasks are handed out.
    Active,
    /// Nothing new is claimed; leases that run go on.
    Paused,
    /// Kept for reading only.
    Archived,
}

/// What a project's assets show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::MediaType")]
pub(in crate::graphql) enum MediaType {
    /// Still pictures.
    Image,
    /// Plain text.
    Text,
    /// A picture together with a text.
    ImageText,
    /// Point-cloud frames.
    PointCloud,
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AssetState")]
pub(in crate::graphql) enum AssetState {
    /// Requested; its bytes are not checked yet.
    Pending,
    /// Checked and usable.
    Ready,
    /// Checked and refused; `reason` says why.
    Rejected,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::TaskState")]
pub(in crate::graphql) enum TaskState {
    /// Waits for its first annotator.
    Queued,
    /// Somebody works on it, or one slot is done and another open.
    InProgress,
    /// Every slot is done, at least one waits for review.
    Submitted,
    /// A reviewer holds it.
    InReview,
    /// Sent back; waits for an annotator again.
    Rework,
    /// Finished.
    Accepted,
    /// Every slot was skipped.
    Skipped,
    /// Expired too often; waits for a manager.
    Quarantined,
    /// Put away.
    Archived,
}

/// Where one of the places of a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::SlotState")]
pub(in crate::graphql) enum SlotState {
    /// Nobody holds it; the only claimable state.
    Free,
    /// Held under a lease.
    Leased,
    /// Handed in.
    Submitted,
    /// Closed without work, with a reason.
    Skipped,
    /// Accepted by a review.
    Accepted,
    /// Rejected by a review, before it is free again.
    Rejected,
}

/// Whether leased tasks may be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::CollaborationMode")]
pub(in crate::graphql) enum CollaborationMode {
    /// One person a slot.
    Exclusive,
    /// Members may join a leased task and edit together; takes an overlap of 1.
    Shared,
}

/// Whether submitted work is reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ReviewPolicy")]
pub(in crate::graphql) enum ReviewPolicy {
    /// Submitting accepts.
    None,
    /// A reviewer decides.
    Required,
}

/// Type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AttributeType")]
pub(in crate::graphql) enum AttributeType {
    /// Any text.
    Text,
    /// A finite number.
    Number,
    /// True or false.
    Boolean,
    /// One of the listed values.
    Select,
    /// Several of the listed values.
    MultiSelect,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::EventType")]
pub(in crate::graphql) enum EventType {
    /// A task was made.
    TaskCreated,
    /// A task's priority or reservation changed.
    TaskUpdated,
    /// A task went from one state to another.
    TaskStateChanged,
    /// An annotation has a new revision.
    AnnotationSaved,
    /// An annotation was deleted.
    AnnotationDeleted,
    /// An edit was kept beside the current state.
    ConflictRaised,
    /// A person decided a conflict.
    ConflictResolved,
    /// A labeling session began or ended.
    SessionChanged,
    /// A verdict was given.
    ReviewRecorded,
    /// A project's settings changed.
    ProjectChanged,
    /// A template version was published.
    TemplatePublished,
    /// A member came, went or changed role.
    MemberChanged,
    /// An import showed its tasks.
    TasksImported,
    /// Your position moved without an event for you.
    CursorMoved,
    /// Your position is unknown: read the state anew.
    ResyncRequired,
}

/// Why something was refused, as `extensions.code` of an error. Stable; keep a default branch, it can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ErrorCode")]
pub(in crate::graphql) enum ErrorCode {
    /// Nobody is signed in, or the token has ended.
    Unauthenticated,
    /// Your role does not allow it.
    Forbidden,
    /// There is no such thing, or you do not see it.
    NotFound,
    /// The input is wrong; `extensions.field` says where.
    BadUserInput,
    /// Not in this state.
    InvalidTransition,
    /// The fence does not hold any more.
    LeaseLost,
    /// A conflict must be decided first.
    ConflictOpen,
    /// A required tool is unused.
    Incomplete,
    /// Based on an older version.
    Stale,
    /// It was deleted.
    Gone,
    /// Based on a version that is not there yet.
    FutureVersion,
    /// The same edit number with another content.
    ActorReused,
    /// The id is in use elsewhere.
    IdTaken,
    /// Too many open conflicts of one annotation.
    TooManySiblings,
    /// The project hands out nothing now.
    ProjectPaused,
    /// More than a request, a list or a user may have.
    LimitExceeded,
    /// Too often; wait `extensions.retryAfterMs`.
    RateLimited,
    /// Too many bytes.
    PayloadTooLarge,
    /// Something the server needs is away; try again.
    Unavailable,
    /// A fault of the server; its log has the cause.
    Internal,
}
/// What an annotation is geometrically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Kind")]
pub(in crate::graphql) enum AnnotationKind {
    /// Rectangle in a picture, rotated about its centre.
    BoundingBox,
    /// Rings with holes, in several parts.
    Polygon,
    /// Open line.
    Polyline,
    /// Skeleton points with visibility.
    Keypoints,
    /// Run-length encoded pixels.
    Mask,
    /// 3D cuboids over frames.
    CuboidTrack,
    /// Characters of a text.
    TextSpan,
    /// Characters of a text tied to a region of a picture.
    ImageTextAlignment,
    /// Values for a whole asset.
    Classification,
    /// Boxes over frames of a video.
    VideoBox,
    /// A link between two annotations.
    Relation,
}

/// Where an annotation came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AnnotationSource")]
pub(in crate::graphql) enum AnnotationSource {
    /// Drawn by a person.
    Human,
    /// Predicted by a model.
    Model,
    /// Read from a file.
    Import,
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::EditOutcome")]
pub(in crate::graphql) enum EditOutcome {
    /// Taken as it is.
    Applied,
    /// Joined with what others changed meanwhile.
    Merged,
    /// Kept beside the current state until a person decides.
    Conflict,
    /// Refused; nothing changed.
    Rejected,
}

/// Where a conflict stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ConflictState")]
pub(in crate::graphql) enum ConflictState {
    /// It waits for a person.
    Open,
    /// A person has decided.
    Resolved,
}

/// Why an edit was kept beside the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ConflictCause")]
pub(in crate::graphql) enum ConflictCause {
    /// Somebody else wrote the same field meanwhile.
    Concurrent,
    /// One deleted what the other changed.
    Deleted,
    /// Together with what others wrote meanwhile it would break the template.
    InvalidMerge,
    /// It was made on a state from before the version vector was cut.
    OldEpoch,
    /// Its lease had ended.
    Late,
}

/// How a person decides a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ConflictChoice")]
pub(in crate::graphql) enum ConflictChoice {
    /// What is there stays.
    Current,
    /// What the edit wrote is put over what is there.
    Incoming,
    /// What you give is put over what is there.
    Merged,
}

/// What an export does with annotations that have an open conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ConflictExport")]
pub(in crate::graphql) enum ConflictExport {
    /// Leaves them out.
    Exclude,
    /// Takes them as they are now.
    Current,
    /// Ends without a result.
    Fail,
}

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::SnapshotReason")]
pub(in crate::graphql) enum SnapshotReason {
    /// The work was handed in.
    Submit,
    /// The work was judged.
    Verdict,
    /// The task was opened again.
    Reopen,
    /// Before an older snapshot took its place.
    Restore,
}

/// The order of a task list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum TaskOrder {
    /// Highest priority first.
    Priority,
    /// Oldest first.
    Created,
    /// Last changed first.
    Updated,
}

/// One person's turn on one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AssignmentState")]
pub(in crate::graphql) enum AssignmentState {
    /// At work.
    Leased,
    /// Handed in.
    Submitted,
    /// Closed without work.
    Skipped,
    /// Given back.
    Released,
    /// Run out.
    Expired,
    /// Ended by a manager, or with the task.
    Revoked,
    /// Handed in and accepted.
    Accepted,
    /// Handed in and rejected.
    Rejected,
}

/// Where a labeling session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::SessionState")]
pub(in crate::graphql) enum SessionState {
    /// Edits are taken.
    Active,
    /// Edits wait; the lease runs on for a while without a heartbeat.
    Paused,
    /// Its lease or review has ended.
    Completed,
}

/// In which part somebody has a task open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::SessionRole")]
pub(in crate::graphql) enum SessionRole {
    /// Holds the slot.
    Holder,
    /// Joined the holder of a SHARED task.
    Collaborator,
    /// Reviews the task.
    Reviewer,
}

/// What a reviewer says of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ReviewVerdict")]
pub(in crate::graphql) enum ReviewVerdict {
    /// The work is right.
    Accept,
    /// The work goes back to its annotator.
    Reject,
}

/// Why a claim got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::NoTaskReason")]
pub(in crate::graphql) enum NoTaskReason {
    /// Nothing waits.
    QueueEmpty,
    /// What waits, you hold, finished or skipped already, or may not judge because it is your own.
    AllDoneByYou,
    /// You hold as many of the project as one may: 5.
    LeaseLimit,
    /// The project is PAUSED.
    ProjectPaused,
    /// That very task is not to be had.
    NotAvailable,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::JobState")]
pub(in crate::graphql) enum JobState {
    /// Waits for a server to take it up.
    Queued,
    /// Is being done.
    Running,
    /// Done.
    Succeeded,
    /// Ended by a fault; `message` says which.
    Failed,
    /// Ended by somebody.
    Cancelled,
}

/// What an import does, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::JobStep")]
pub(in crate::graphql) enum JobStep {
    /// Reads the whole file, and writes nothing.
    Validate,
    /// Writes the tasks, hidden.
    Write,
    /// Shows them; from here on it cannot be cancelled.
    Show,
}

/// A format of data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::DatasetFormat")]
pub(in crate::graphql) enum DatasetFormat {
    /// One task a line, nothing lost.
    Jsonl,
    /// COCO instances: pictures, categories, boxes and outlines in one JSON document.
    Coco,
}

/// What an import does with the annotations of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::PreAnnotationUse")]
pub(in crate::graphql) enum PreAnnotationUse {
    /// Leaves them out.
    Ignore,
    /// Whoever first claims a slot finds them there and goes on from them.
    Preannotate,
    /// Takes them for accepted work.
    Accept,
}

/// Which results of a task an export takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::OverlapExport")]
pub(in crate::graphql) enum OverlapExport {
    /// Those accepted; without review, those handed in.
    Accepted,
    /// Of those the one of the lowest slot.
    First,
    /// Those handed in, judged or not.
    All,
}
