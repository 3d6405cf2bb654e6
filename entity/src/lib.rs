//! The tables of Concord, one file each, dumb: what the columns mean is said in `migration` and `domain`.
//!
//! Words (states, roles, kinds) are text here; `repo` turns them into the enums of `domain`.

pub mod access_token;
pub mod annotation;
pub mod annotation_revision;
pub mod annotation_snapshots;
pub mod asset;
pub mod assignment;
pub mod conflict;
pub mod event;
pub mod event_stream;
pub mod instance;
pub mod job;
pub mod job_checkpoint;
pub mod labeling_session;
pub mod login_session;
pub mod project;
pub mod project_member;
pub mod review;
pub mod sign_in_attempt;
pub mod sign_in_link;
pub mod task;
pub mod task_asset;
pub mod task_label;
pub mod task_slot;
pub mod task_suggestion;
pub mod template;
pub mod user;
