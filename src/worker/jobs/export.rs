//! An export: page by page through a codec into a file, then into the storage. One that was interrupted begins anew.

use std::{fs::File, io::BufWriter};

use super::{Stop, Work, scratch, scratch::Scratch};
use crate::{
    domain::{
        ids::TaskId,
        words::{ConflictExport, JobState},
    },
    format::{self, About, Losses, Writer},
    repo::{
        job::{End, Progress},
        record::Record,
    },
    service::{
        export,
        job::{self, ExportParameters},
    },
};

pub(super) async fn run(work: Work<'_>) -> Result<End, Stop> {
    let Work { app, job, runner, .. } = &work;
    let parameters: ExportParameters = job::parameters(job)?;
    let format = format::of(parameters.format);
    let export = export::begin(app, job, parameters).await?;
    let total = i64::try_from(export.total(app).await?).unwrap_or(i64::MAX);

    let scratch = Scratch::new()?;
    let path = scratch.file("result");
    let out = Box::new(BufWriter::new(File::create(&path)?));
    let about = About { project: export.project.name.clone(), tools: export.tools.clone() };
    let mut writer = format.write(out, &scratch.folder("codec")?, about)?;
    let (mut after, mut looked_at, mut records, mut disputed) = (None::<TaskId>, 0_i64, 0_u64, 0_u64);
    loop {
        work.must_go_on()?;
        let progress = Progress { step: None, done: looked_at, total: Some(total.max(looked_at)) };
        job::advance(app, job.id, runner, progress).await??;
        let page = export.next(app, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for run in export.runs(app, &page).await? {
            let (next, in_conflict) = export.records(app, &run).await?;
            (records, disputed) = (records + next.len() as u64, disputed + in_conflict);
            // Nobody will read what fails; the walk goes on for the whole number.
            if disputed == 0 || export.conflicts() != ConflictExport::Fail {
                writer = write(writer, next).await?;
            }
        }
        looked_at += i64::try_from(page.len()).unwrap_or(0);
    }
    let about_conflicts = about_conflicts(disputed, export.conflicts());
    if disputed > 0 && export.conflicts() == ConflictExport::Fail {
        return Ok(End { state: JobState::Failed, message: about_conflicts, result_key: None, errors_key: None });
    }
    let losses = finish(writer).await?;
    job::note_losses(app, job.id, runner, &losses).await??;
    let key = scratch::keep(app, job, &path, format.extension()).await?;
    let tasks = if records == 1 { "task" } else { "tasks" };
    Ok(End {
        state: JobState::Succeeded,
        message: format!("{records} {tasks} exported{about_conflicts}"),
        result_key: Some(key),
        errors_key: None,
    })
}

/// What the job's message says of annotations with an open conflict.
fn about_conflicts(disputed: u64, export: ConflictExport) -> String {
    let (them, as_now) = match disputed {
        1 => ("1 annotation has an open conflict".to_owned(), "as it is now"),
        more => (format!("{more} annotations have an open conflict"), "as they are now"),
    };
    match (disputed, export) {
        (0, _) => String::new(),
        (_, ConflictExport::Exclude) => format!("; {them}: left out"),
        (_, ConflictExport::Current) => format!("; {them}: taken {as_now}"),
        (_, ConflictExport::Fail) => format!("{them}; resolve first, or export with EXCLUDE or CURRENT"),
    }
}

async fn write(mut writer: Box<dyn Writer>, records: Vec<Record>) -> Result<Box<dyn Writer>, Stop> {
    blocking(move || {
        for record in &records {
            writer.write(record)?;
        }
        Ok(writer)
    })
    .await
}

async fn finish(writer: Box<dyn Writer>) -> Result<Losses, Stop> {
    blocking(move || writer.finish()).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, Stop> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)??)
}
