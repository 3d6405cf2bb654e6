//! The closed vocabularies of DESIGN section 1: every state, role and kind as an enum.
//!
//! The text of a variant (`IN_PROGRESS`) is at once its name in the API, its value in the database and its value in
//! files, so there is one spelling of each. What a word means is said here; what may follow what is in `life_cycle`.

use serde::{Deserialize, Serialize};

/// Declares enums whose text is the SCREAMING_SNAKE_CASE form of each variant.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[derive(strum::EnumString, strum::IntoStaticStr, strum::Display, strum::VariantArray, schemars::JsonSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// The word as it is written in the API, the database and files.
            #[must_use]
            pub fn as_str(self) -> &'static str { self.into() }
        }
    )+};
}

words! {
    /// What a member may do in a project; ordered, each role includes the ones before it.
    Role {
        /// Reads everything of the project.
        Viewer,
        /// Claims, labels and submits.
        Annotator,
        /// Reviews the work of others.
        Reviewer,
        /// Runs the project: settings, templates, tasks, assets, members below manager.
        Manager,
    }

    /// Whether a project hands out work.
    ProjectState {
        /// Tasks are handed out.
        Active,
        /// Nothing new is claimed; leases that run go on.
        Paused,
        /// Kept for reading only.
        Archived,
    }

    /// What a project's assets show.
    MediaType {
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
    AssetState {
        /// Requested, its bytes not yet checked.
        Pending,
        /// Checked and usable.
        Ready,
        /// Checked and refused; the reason is kept.
        Rejected,
    }

    /// Where a task stands; derived from its slots, the review and the archive.
    TaskState {
        /// Waits for its first annotator.
        Queued,
        /// A slot is leased, or open beside a submitted one.
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

    /// Where one of the k places of a task stands.
    SlotState {
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

    /// Whether a project's leased tasks may be joined.
    CollaborationMode {
        /// One person a slot.
        Exclusive,
        /// Members may join a leased task and edit together (overlap 1).
        Shared,
    }

    /// Whether submitted work is reviewed.
    ReviewPolicy {
        /// Submitting accepts.
        None,
        /// A reviewer decides.
        Required,
    }

    /// One person's turn on one slot.
    AssignmentState {
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
    SessionState {
        /// Edits are taken.
        Active,
        /// Edits wait; the lease runs on for a while without a sign of life.
        Paused,
        /// Its lease or review has ended.
        Completed,
    }

    /// In which part somebody has a task open.
    SessionRole {
        /// Holds the slot.
        Holder,
        /// Joined the holder of a SHARED task.
        Collaborator,
        /// Reviews the task.
        Reviewer,
    }

    /// Where an annotation comes from.
    AnnotationSource {
        /// A person drew it.
        Human,
        /// A model made it.
        Model,
        /// An import brought it.
        Import,
    }

    /// What became of an edit.
    EditOutcome {
        /// Taken as it is.
        Applied,
        /// Joined with what others changed meanwhile.
        Merged,
        /// Kept beside the current state until a person decides.
        Conflict,
        /// Refused; nothing changed.
        Rejected,
    }

    /// What a reviewer says of a slot.
    ReviewVerdict {
        /// The work is right.
        Accept,
        /// The work goes back to its annotator.
        Reject,
    }

    /// Why a snapshot was taken.
    SnapshotReason {
        /// The work was handed in.
        Submit,
        /// The work was judged.
        Verdict,
        /// The task was opened again.
        Reopen,
        /// Before an older snapshot took its place.
        Restore,
    }

    /// What a job does.
    JobKind {
        /// Makes tasks of a data set.
        Import,
        /// Makes a data set of tasks.
        Export,
    }

    /// What an import does, one after the other.
    JobStep {
        /// Reads the whole file, and writes nothing.
        Validate,
        /// Writes the tasks, hidden.
        Write,
        /// Shows them; from here on it cannot be cancelled.
        Show,
    }

    /// How a job stands.
    JobState {
        /// Waits for a server to take it up.
        Queued,
        /// Is being done.
        Running,
        /// Done.
        Succeeded,
        /// Ended by a fault; nothing of it is left but its message.
        Failed,
        /// Ended by somebody.
        Cancelled,
    }

    /// A format of data sets.
    DatasetFormat {
        /// One task a line, nothing lost (docs/formats.md).
        Jsonl,
        /// COCO instances: pictures, categories, boxes and outlines in one JSON document.
        Coco,
    }

    /// What an import does with the annotations of its file.
    PreAnnotationUse {
        /// Leaves them out.
        Ignore,
        /// Whoever first claims a slot finds them there and goes on from them.
        Preannotate,
        /// Takes them for accepted work.
        Accept,
    }

    /// Which results of a task an export takes.
    OverlapExport {
        /// Those accepted.
        Accepted,
        /// The accepted one of the lowest number.
        First,
        /// Those handed in, judged or not.
        All,
    }

    /// Where a conflict stands.
    ConflictState {
        /// It waits for a person.
        Open,
        /// A person has decided.
        Resolved,
    }

    /// Why an edit was kept beside the current state.
    ConflictCause {
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
    ConflictChoice {
        /// What is there stays.
        Current,
        /// What the edit wrote is put over what is there.
        Incoming,
        /// What the person gives is put over what is there.
        Merged,
    }

    /// What an export does with annotations that have an open conflict.
    ConflictExport {
        /// Leaves them out.
        Exclude,
        /// Takes them as they are now.
        Current,
        /// Ends without a result.
        Fail,
    }

    /// Why a claim got nothing.
    NoTaskReason {
        /// Nothing waits.
        QueueEmpty,
        /// What waits, this person holds, finished or skipped already.
        AllDoneByYou,
        /// This person holds as many slots of the project as one may.
        LeaseLimit,
        /// The project hands out nothing now.
        ProjectPaused,
        /// That very task is not to be had.
        NotAvailable,
    }

    /// What an annotation is geometrically.
    Kind {
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

    /// Type of an attribute's value.
    AttributeType {
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
    EventType {
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
        /// The subscriber's position moved without an event for it.
        CursorMoved,
        /// The subscriber's position is unknown: read the state anew.
        ResyncRequired,
    }

    /// Why something was refused. Stable: clients branch on it.
    ErrorCode {
        /// Nobody is signed in, or the token has ended.
        Unauthenticated,
        /// The role does not allow it.
        Forbidden,
        /// There is no such thing, or it is not visible.
        NotFound,
        /// The input is wrong; `field` says where.
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
        /// Too often; wait.
        RateLimited,
        /// Too many bytes.
        PayloadTooLarge,
        /// Something the server needs is away; try again.
        Unavailable,
        /// A fault of the server.
        Internal,
    }
}
