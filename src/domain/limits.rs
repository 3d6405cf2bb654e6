//! The limits of what one request may define or draw, in one place.
//!
//! Each keeps a stored row, an answer or a check within bounds that were chosen, not found out. They are part of the
//! API: raising one is harmless, lowering one breaks what is already stored.

/// Tools of a template.
pub const TOOLS: usize = 100;

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
/// Years of a time that a client sends: what both databases can hold.
pub const YEARS: std::ops::RangeInclusive<i32> = 0..=9_999;
