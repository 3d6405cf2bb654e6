//! `concord watch`

use std::{
    io::{self, ErrorKind, Write},
    pin::pin,
};

use chrono::{DateTime, Utc};
use clap::Args;
use futures::StreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use strum::VariantArray;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app,
    config::Config,
    domain::{
        cursor::EventCursor,
        event_id::EventId,
        ids::{ProjectId, TaskId, UserId},
        limits,
        words::EventType,
    },
    live::Told,
    repo::Conn,
    service::event::{self, Follow},
};

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Which project
    #[arg(long)]
    project: ProjectId,
    /// Go on behind the cursor of this line; from now on when not given
    #[arg(long)]
    after: Option<EventCursor>,
    /// Only events about this task
    #[arg(long)]
    task: Option<TaskId>,
    /// Only events of these types, with commas between
    #[arg(long, value_delimiter = ',', value_parser = event_type)]
    types: Option<Vec<EventType>>,
}

fn event_type(text: &str) -> Result<EventType, String> {
    let words = || EventType::VARIANTS.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("must be some of {}", words()))
}

/// An event as a line, in the words of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "type")]
    event_type: EventType,
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    /// Whoever caused it; absent: the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// What is particular to the type.
    #[serde(skip_serializing_if = "is_empty")]
    data: Value,
    id: String,
    cursor: String,
}

fn is_empty(data: &Value) -> bool {
    data.as_object().is_none_or(serde_json::Map::is_empty)
}

pub(super) async fn run(config: &Config, watch: Watch) -> anyhow::Result<()> {
    let Watch { project, after, task, types } = watch;
    let app = app::use_cases(config).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let follow = Follow { project, task, types, after };
    let mut told = pin!(event::follow_unchecked(app.clone(), follow, limits::WATCH_POLL).await?);
    loop {
        let next = tokio::select! {
            next = told.next() => next,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Some(next) = next else { break };
        match print(&Line::of(next?, app.db.clock().process_now())) {
            // Nobody reads any more, as behind `| head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            printed => printed?,
        }
    }
    Ok(())
}

fn print(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    // In one piece: who is killed leaves no half line.
    out.write_all(&text)?;
    out.flush()
}

impl Line {
    /// What was told; `now` is when a notice is given.
    fn of(told: Told, now: DateTime<Utc>) -> Self {
        let notice = |event_type, data, cursor: EventCursor| Self {
            event_type,
            at: now,
            task_id: None,
            by: None,
            data,
            id: format!("cur_{cursor}"),
            cursor: cursor.to_string(),
        };
        match told {
            Told::Moved(cursor) => notice(EventType::CursorMoved, Value::Null, cursor),
            Told::Resync { reason, cursor } => notice(EventType::ResyncRequired, json!({ "reason": reason }), cursor),
            Told::Event(position) => {
                let event = position.event;
                let mut data = event.payload;
                if let Some(data) = data.as_object_mut() {
                    data.retain(|_, value| !value.is_null());
                }
                Self {
                    event_type: event.event_type,
                    at: event.at,
                    task_id: event.task.as_ref().map(TaskId::to_string),
                    by: event.by.as_ref().map(UserId::to_string),
                    data,
                    id: EventId { project: event.project, stream: event.stream, position: event.position }.to_string(),
                    cursor: position.cursor.to_string(),
                }
            }
        }
    }
}
