//! An export: page by page through a codec into a file, then into the storage. One that was interrupted begins anew.

use std::{fs::File, io::BufWriter};

use super::{Stop, Work, scratch, scratch::Scratch};
use crate::{
    domain::{ids::TaskId, words::JobState},
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
    let (mut after, mut looked_at, mut records) = (None::<TaskId>, 0_i64, 0_u64);
    loop {
        work.must_go_on()?;
        let progress = Progress { step: None, done: looked_at, total: Some(total.max(looked_at)) };
        job::advance(app, job.id, runner, progress).await??;
        let page = export.next(app, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for run in export.runs(app, &page).await? {
            let next = export.records(app, &run).await?;
            records += next.len() as u64;
            writer = write(writer, next).await?;
        }
        looked_at += i64::try_from(page.len()).unwrap_or(0);
    }
    let losses = finish(writer).await?;
    job::note_losses(app, job.id, runner, &losses).await??;
    let key = scratch::keep(app, job, &path, format.extension()).await?;
    let tasks = if records == 1 { "task" } else { "tasks" };
    Ok(End {
        state: JobState::Succeeded,
        message: format!("{records} {tasks} exported"),
        result_key: Some(key),
        errors_key: None,
    })
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
