//! What fields say: templates as they were published, kinds with their schemas, tasks with their slots, and which tasks
//! the filters and orders of the list give.
