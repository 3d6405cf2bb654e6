//! Every limit of what a request may hold, ask for or wait for, in one place.
//!
//! Each keeps a stored row, an answer, a check or a wait within bounds that were chosen, not found out. They are part of
//! the API: raising one is harmless, lowering one breaks what is already stored or sent.

use std::time::Duration;

/// Open connections of one address.
pub const CONNECTIONS: usize = 20_000;
/// How long a client may take to send the head of a request, also on a connection kept open after another: longer than
/// the minute that load balancers keep theirs.
pub const HEADER_TIME: Duration = Duration::from_secs(75);
/// How long no connection is accepted after the system had no room for one.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of the body of a GraphQL request.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of such a body from somebody who carries no credential: enough to sign in.
pub const ANONYMOUS_BODY_BYTES: usize = 64 * 1024;
/// How long a sender may fall silent in the middle of a body.
pub const BODY_SILENCE: Duration = Duration::from_secs(30);
/// Bytes of a body that is refused that are read all the same, and forgotten: a connection closed with bytes unread is
/// reset, and the client would never see why.
pub const FORGOTTEN_BYTES: usize = 64 * 1024 * 1024;
/// Characters of a request id taken over from a client or a proxy.
pub const REQUEST_ID_CHARS: usize = 64;
/// Bytes of a token that are looked at.
pub const SECRET_BYTES: usize = 200;
/// How long a GraphQL request may take.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long a client may take to introduce itself on a new socket.
pub const SOCKET_INIT_TIME: Duration = Duration::from_secs(10);
/// How often the other end of a socket is asked for a sign of life.
pub const SOCKET_PING: Duration = Duration::from_secs(25);
/// How long it may give none.
pub const SOCKET_SILENCE: Duration = Duration::from_secs(60);
/// How long one message may wait for a client that does not read.
pub const SOCKET_SEND_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to answer that the server closes the socket.
pub const SOCKET_CLOSE_TIME: Duration = Duration::from_secs(2);
/// The pause between two sockets that a stopping server closes, on average.
pub const SOCKET_STOP_PAUSE: Duration = Duration::from_micros(500);
/// How long it takes at most until all of them are.
pub const SOCKET_STOP_TIME: Duration = Duration::from_secs(5);
/// Bytes of one message of a client.
pub const SOCKET_MESSAGE_BYTES: usize = 1024 * 1024;
/// Bytes of results that wait for a client to read what it got; a client that is told more is closed with 1013.
pub const SOCKET_QUEUE_BYTES: usize = 1024 * 1024;
/// Bytes that an idle socket keeps to read into.
pub const SOCKET_READ_BUFFER: usize = 512;
/// Operations that run on one socket at once.
pub const SOCKET_OPERATIONS: usize = 100;
/// Characters of the id a client gives an operation: every message of its answer repeats it.
pub const OPERATION_ID_CHARS: usize = 128;

/// How long an event stream is silent at most: what says nothing for longer is taken for dead by proxies.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(12);
/// Event streams of one connection: over HTTP/2 it may have many.
pub const CONNECTION_STREAMS: usize = 100;
/// How long a client of an event stream may take none of what is sent to it.
pub const STREAM_SEND_TIME: Duration = Duration::from_secs(30);

/// How often a subscription looks for events that nothing woke it for: other processes write too.
pub const EVENT_POLL: Duration = Duration::from_secs(2);
/// The same for `concord watch`, whose events are all of other processes.
pub const WATCH_POLL: Duration = Duration::from_millis(300);
/// Events of a project that are read at once.
pub const LIVE_PAGE: usize = 500;
/// Events of a project that a process keeps for those who follow it; whoever is further behind reads the database.
pub const FEED_EVENTS: usize = 2_000;
/// Events read for those who are further behind that a process keeps, of all projects together.
pub const REPLAYED_EVENTS: u64 = 20_000;
/// Bytes of results for followers that a process keeps, so that others who ask the same need not be executed for.
pub const RENDERED_BYTES: u64 = 32 * 1024 * 1024;
/// How often an event that takes longer than a request may is executed before it is shown as an error.
pub const EVENT_ATTEMPTS: u32 = 3;
/// Subscriptions that are told an event before other work has its turn: each may be a write to a socket.
pub const TOLD_IN_A_TURN: usize = 512;
/// How often a subscription tells its position, whether or not there was an event.
pub const CURSOR_NOTICE: Duration = Duration::from_secs(30);
/// Events filtered out after which it tells it as well.
pub const FILTERED_EVENTS: usize = 1_000;
/// How long a subscription that nobody shares trusts that its viewer still may see what it is about.
pub const ACCESS_TRUST: Duration = Duration::from_secs(3);
/// People whose rights one statement looks up.
pub const PEOPLE_AT_ONCE: usize = 1_000;
/// Keys of one lookup that is made for all who asked meanwhile: of sockets that come back together, for example.
pub const LOOKED_UP_TOGETHER: usize = 1_000;
/// How often the credentials of open sockets and streams are looked at, also when nothing says that one has ended; being
/// open counts as a use.
pub const ATTENDANCE_LOOK: Duration = Duration::from_secs(60);
/// How long at least there is between two such looks that time alone makes due.
pub const ATTENDANCE_PAUSE: Duration = Duration::from_secs(1);

/// Lexical tokens of a document.
pub const DOCUMENT_TOKENS: usize = 10_000;
/// How deep brackets of a document may nest.
pub const DOCUMENT_NESTING: usize = 48;
/// Levels of fields of an operation.
pub const DOCUMENT_DEPTH: u32 = 16;
/// Points of an operation: an object is 1, below a page it counts as often as the page has rows.
pub const DOCUMENT_COST: u64 = 20_000;
/// Aliases of an operation.
pub const DOCUMENT_ALIASES: u64 = 100;
/// Root fields of an operation.
pub const DOCUMENT_ROOT_FIELDS: u64 = 20;
/// Fields and fragments of a document, with fragments spread out: of every operation, because validation walks them all.
pub const DOCUMENT_SELECTIONS: u64 = 5_000;
/// How many lists of types' descriptions may stand in one another: tools ask for one.
pub const DOCUMENT_INTROSPECTION: u32 = 2;
/// Errors of one answer.
pub const ERRORS: usize = 20;
/// Characters of an error's message: documents and values are quoted in some.
pub const MESSAGE_CHARS: usize = 500;

/// How long a request waits for a free connection to the database, and SQLite for its write lock.
pub const DATABASE_WAIT: Duration = Duration::from_secs(5);
/// How long one statement may run, and a transaction sit idle, on PostgreSQL before it is ended.
pub const STATEMENT_TIME: Duration = Duration::from_secs(30);
/// How long a part may take to answer a health check.
pub const HEALTH_TIME: Duration = Duration::from_secs(2);
/// Connections to Redis of one process (of a Cluster: to each of its nodes). Each is shared by all who ask at the time.
pub const REDIS_CONNECTIONS: usize = 4;
/// How long Redis may take for one answer.
pub const REDIS_ANSWER: Duration = Duration::from_millis(500);
/// How long a call may take with all its attempts; then whoever asked goes on without an answer.
pub const REDIS_TIME: Duration = Duration::from_secs(1);
/// How often a call is tried again within that time.
pub const REDIS_ATTEMPTS: u32 = 4;
/// The pause before the first repetition; twice as long before each further one.
pub const REDIS_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long a Redis that does not answer is not asked again.
pub const REDIS_REST: Duration = Duration::from_secs(1);
/// Topics of which hints wait to be told to other replicas; those of more are dropped.
pub const HINTS: usize = 10_000;
/// Hints that are on their way at once.
pub const HINTS_AT_ONCE: usize = 32;
/// Topics that are subscribed to at once.
pub const TOPICS_AT_ONCE: usize = 500;
/// How often a connection that listens for hints is looked at.
pub const BUS_LOOK: Duration = Duration::from_secs(1);
/// Slots of a project's queue that its index in Redis holds: the first ones.
pub const FRONT_SLOTS: usize = 10_000;
/// Slots below which it is filled up again.
pub const FRONT_LOW: usize = 2_000;
/// Slots of it that one claim looks at; then the database answers.
pub const FRONT_LOOKED_AT: usize = 200;
/// Slots it looks at first where tasks have several: of some tasks the person may hold no other.
pub const FRONT_FIRST_LOOK: usize = 8;
/// How long a slot that a claim took out stays away from others when nothing more is heard of it.
pub const FRONT_FLIGHT: Duration = Duration::from_secs(10);
/// Slots that came back which one claim puts in their place again.
pub const FRONT_COME_BACK: usize = 100;
/// How long somebody for whom it had nothing is answered by the database alone.
pub const FRONT_IN_VAIN: Duration = Duration::from_secs(10);
/// People whom a process remembers for that; then all are forgotten.
pub const FRONT_IN_VAIN_PEOPLE: usize = 10_000;
/// Slots put in, and taken out, by one script: Redis does nothing else meanwhile.
pub const FRONT_BATCH: usize = 1_000;
/// How long one look at the database may take with what is put in after it; then another process may look.
pub const FRONT_LOOK_TIME: Duration = Duration::from_secs(10);
/// How long after a look no other process looks only because it is time.
pub const FRONT_LOOK_PAUSE: Duration = Duration::from_secs(5);
/// How long it is kept when nobody looks after it.
pub const FRONT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a process looks after a project's index when nothing was claimed or offered in it.
pub const FRONT_IN_USE: Duration = Duration::from_secs(10 * 60);
/// Changes that a process has still to tell it of; one more makes it look at the database instead.
pub const FRONT_CHANGES: usize = 10_000;
/// Password hashes computed at once: each takes 19 MiB and a core.
pub const PASSWORD_HASHES: usize = 2;
/// How long a sign-in waits for its turn to be hashed.
pub const PASSWORD_WAIT: Duration = Duration::from_secs(5);
/// Uploads of one `completeUploads` checked at once.
pub const UPLOAD_CHECKS: usize = 4;

/// Tools of a template.
pub const TOOLS: usize = 100;

/// Bytes of a template's tools as JSON: a page of tasks may show it once for each.
pub const TEMPLATE_BYTES: usize = 256 * 1024;
/// Labels of a tool.
pub const LABELS: usize = 1_000;

/// Attributes of a tool.
pub const ATTRIBUTES: usize = 100;

/// Values that an attribute lists to choose from.
pub const VALUES: usize = 1_000;

/// Characters (Unicode code points) of a name: tool, label, attribute, listed value, skeleton point.
pub const NAME_CHARS: usize = 200;

/// Characters (Unicode code points) of a description.
pub const DESCRIPTION_CHARS: usize = 2_000;

/// Characters (Unicode code points) of the value of a TEXT attribute.
pub const TEXT_VALUE_CHARS: usize = 10_000;

/// Points of a skeleton.
pub const SKELETON_POINTS: usize = 200;

/// Edges of a skeleton.
pub const SKELETON_EDGES: usize = 1_000;

/// Vertices of a polygon, those of all its parts and holes together.
pub const POLYGON_VERTICES: usize = 100_000;

/// Rows of one page of any list.
pub const PAGE_ROWS: u32 = 200;
/// Rows counted for a list's `totalCount`; above it there is none.
pub const TOTAL_COUNT: u64 = 10_000;
/// Bytes of a cursor's text.
pub const CURSOR_BYTES: usize = 4_096;
/// Ids of one `nodes` query.
pub const NODES: usize = 200;
/// Ids or texts of one filter list.
pub const FILTER_VALUES: usize = 200;

/// Characters of an e-mail address (RFC 5321, a path without its brackets).
pub const EMAIL_CHARS: usize = 254;
/// Fewest characters of a password.
pub const PASSWORD_MIN_CHARS: usize = 10;
/// Most characters of a password: hashing more costs time and gives nothing.
pub const PASSWORD_MAX_CHARS: usize = 200;
/// Live access tokens of one user.
pub const ACCESS_TOKENS: u64 = 100;
/// Longest life of an access token, in days.
pub const ACCESS_TOKEN_DAYS: i32 = 3_650;
/// Members of one project.
pub const MEMBERS: u64 = 10_000;

/// Places of one task (overlap).
pub const OVERLAP: i32 = 10;
/// Shortest and longest lease, in seconds.
pub const LEASE_SECONDS: std::ops::RangeInclusive<i32> = 10..=86_400;
/// Event streams of one project.
pub const STREAMS: i32 = 8;

/// Files of one `requestUploads`, assets of one `completeUploads`.
pub const UPLOADS: usize = 100;
/// Bytes of one uploaded file: 5 GiB, what S3 takes in one PUT.
pub const UPLOAD_BYTES: i64 = 5 * 1024 * 1024 * 1024;
/// Characters of a file name.
pub const FILE_NAME_CHARS: usize = 1_000;
/// Bytes of a text asset: it is checked as a whole.
pub const TEXT_ASSET_BYTES: u64 = 64 * 1024 * 1024;

/// Tasks of one `createTasks`, `updateTasks` or `archiveTasks`.
pub const TASKS: usize = 1_000;
/// Assets of one task (the frames of a sequence).
pub const TASK_ASSETS: usize = 1_000;
/// Assets of one `createTasks` in all.
pub const BATCH_ASSETS: usize = 20_000;
/// Bytes of a task's `data` as JSON.
pub const TASK_DATA_BYTES: usize = 256 * 1024;
/// Characters of an external id.
pub const EXTERNAL_ID_CHARS: usize = 500;
/// Smallest and largest priority.
pub const PRIORITY: std::ops::RangeInclusive<i32> = -1_000_000..=1_000_000;
/// Bytes of one record of a data set: a line of JSONL; of COCO, a picture with its annotations.
pub const RECORD_BYTES: usize = 32 * 1024 * 1024;
/// Categories of a COCO file: as many as a template can have labels.
pub const CATEGORIES: usize = TOOLS * LABELS;
/// How deep the brackets of a data set in JSON may nest.
pub const JSON_NESTING: usize = 127;
/// Years of a time that a client sends: what both databases can hold.
pub const YEARS: std::ops::RangeInclusive<i32> = 0..=9_999;

/// Edits of one `saveAnnotations`.
pub const EDITS: usize = 500;
/// Live annotations of one task, those of all its slots together.
pub const TASK_ANNOTATIONS: i64 = 20_000;
/// Rows of one page of annotations.
pub const ANNOTATION_ROWS: u32 = 1_000;
/// Actors of one version vector.
pub const VECTOR_ACTORS: usize = 256;
/// Actors of a vector above which it is cut when its slot is leased next.
pub const VECTOR_ACTORS_KEPT: usize = 64;
/// Edits of one annotation that are looked up to say whose work another edit met.
pub const LOOKED_BACK: usize = 10;
/// Open conflicts of one annotation.
pub const SIBLINGS: usize = 8;
/// Open conflicts of one task.
pub const TASK_CONFLICTS: i32 = 1_000;
/// Characters of an actor.
pub const ACTOR_CHARS: usize = 32;
/// How long a labeling session without a sign of life counts as open.
pub const SESSION_TTL: Duration = Duration::from_secs(30 * 60);
/// Labeling sessions whose soft state the embedded store keeps; the one silent for longest goes first.
pub const KEPT_SESSIONS: usize = 100_000;
/// How long a labeling session without a sign of life counts as present in its task: screens that show who is there give one
/// every third of it.
pub const PRESENCE_TTL: Duration = Duration::from_secs(30);
/// Labeling sessions that are present in one task; the one silent for longest goes first.
pub const PRESENT: usize = 200;
/// The same of all tasks that the embedded store keeps.
pub const KEPT_PRESENCES: usize = 100_000;
/// Shortest time between two lists of who is in a task.
pub const PRESENCE_PACE: Duration = Duration::from_millis(100);
/// How often a subscription looks for what nothing woke it for: who fell silent, and what came through other processes.
pub const PRESENCE_POLL: Duration = Duration::from_secs(3);
/// Screens that one person opens under one fence.
pub const SCREENS: i64 = 50;
/// How often a claim that found only what others held asks again.
pub const CLAIM_ATTEMPTS: u32 = 5;
/// Open labeling sessions of one person that are shown.
pub const OPEN_SESSIONS: u64 = 200;
/// How long a lease runs on while its session is PAUSED, in seconds.
pub const PAUSE_SECONDS: i64 = 900;
/// How long a claim's `requestId` is remembered, in seconds.
pub const REQUEST_ID_SECONDS: i64 = 24 * 60 * 60;
/// Characters of a claim's `requestId`.
pub const CLAIM_REQUEST_ID_CHARS: usize = 200;
/// Characters of a reason or a review's comment.
pub const REASON_CHARS: usize = 2_000;
/// Leases and reviews that ran out which one look of the reaper takes.
pub const REAPED: u64 = 200;
/// How often the reaper looks for leases that ran out.
pub const REAP_INTERVAL: Duration = Duration::from_secs(1);
/// How often the reconciler looks for what a crash or a removed member left behind.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// How often what takes a walk over all tasks is computed for operators.
pub const SURVEY_INTERVAL: Duration = Duration::from_secs(60);
/// How often events that are too old or too many are looked for.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(10);
/// Event streams that one such look takes; the next one goes on behind them.
pub const RETENTION_STREAMS: u64 = 1_000;
/// Events deleted by one statement.
pub const RETENTION_EVENTS: i64 = 1_000;
/// Such statements of one look: what is left then waits for the next.
pub const RETENTION_BATCHES: usize = 100;
/// Rows the reconciler mends at a time.
pub const RECONCILED: u64 = 500;

/// Jobs of one project that wait or run.
pub const OPEN_JOBS: u64 = 20;
/// Jobs that one process runs at once.
pub const RUNNING_JOBS: usize = 2;
/// How long a job's runner may give no sign of life before another takes the job over.
pub const JOB_LEASE: Duration = Duration::from_secs(30);
/// How often a runner gives one.
pub const JOB_PULSE: Duration = Duration::from_secs(5);
/// How often a job is taken up before it is given up: it may be what ends its runners.
pub const JOB_ATTEMPTS: i32 = 30;
/// How often a process looks for jobs, and a subscription at its job.
pub const JOB_POLL: Duration = Duration::from_millis(500);
/// Records that an import writes, shows, or an export reads at once.
pub const JOB_RECORDS: usize = 500;
/// Hidden tasks deleted at once, with all that is in them.
pub const SWEPT_TASKS: u64 = 50;
/// Annotations that an export holds at once, unless one task has more.
pub const JOB_ANNOTATIONS: i64 = 20_000;
/// Tasks of one import.
pub const IMPORT_TASKS: u64 = 10_000_000;
/// Faults of a file that an import lists.
pub const IMPORT_FAULTS: usize = 100;
/// Bytes of a file to import: 5 GiB, what an upload takes.
pub const IMPORT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
