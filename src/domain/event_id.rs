//! The name of an event: (project, stream, position), the same for every reader and every replay.

use std::fmt;

use crate::domain::ids::ProjectId;

/// Names one event of one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The project.
    pub project: ProjectId,
    /// The stream's number within the project.
    pub stream: i32,
    /// The position within the stream, from 1.
    pub position: i64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let project = self.project.to_string();
        let (_, suffix) = project.split_once('_').unwrap_or_default();
        write!(f, "evt_{suffix}_{}_{}", self.stream, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_holds_project_stream_and_position() {
        let project: ProjectId = "proj_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let id = EventId { project, stream: 3, position: 17 };
        assert_eq!(id.to_string(), "evt_01h455vb4pex5vsknk084sn02q_3_17");
    }
}
