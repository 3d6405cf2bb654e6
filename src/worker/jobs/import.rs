//! An import: the whole file is read and checked first, and nothing is written when anything is wrong; then it is read
//! again and written batch by batch, from the last checkpoint on when it was interrupted; then the tasks are shown.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::json;
use tokio::sync::mpsc;

use super::{Stop, Work, scratch, scratch::Scratch};
use crate::{
    domain::{
        limits,
        words::{JobState, JobStep},
    },
    format::{self, Fault, Format, Losses},
    repo::{
        job::{End, Progress},
        record::Record,
    },
    service::{
        ServiceError, asset,
        import::{self, Checked, Import, Written},
        job::{self, ImportParameters},
    },
};

pub(super) async fn run(work: Work<'_>) -> Result<End, Stop> {
    let Work { app, job, .. } = &work;
    let parameters: ImportParameters = job::parameters(job)?;
    let import = import::begin(app, job.clone(), &parameters).await?;
    let mut written = import::resume(&app.db, job).await?;
    // Interrupted while it showed its tasks, it shows the rest, whatever has become of the file meanwhile.
    if job.step != Some(JobStep::Show) {
        match check_and_write(&work, &import, &parameters, written).await? {
            Ok(all) => written = all,
            Err(refused) => return Ok(refused),
        }
    }
    show(&work, &import, written.made).await?;
    Ok(End { state: JobState::Succeeded, message: summary(written), result_key: None, errors_key: None })
}

/// Reads the file twice; gives what was written, or how the import ends when something is wrong with it.
async fn check_and_write(
    work: &Work<'_>,
    import: &Import,
    parameters: &ImportParameters,
    written: Written,
) -> Result<Result<Written, End>, Stop> {
    let app = work.app;
    // What earlier imports left hidden would be taken for known tasks.
    while job::sweep(app).await? > 0 {}
    let format = format::of(parameters.format);
    let scratch = Scratch::new()?;
    let source = Source { format, path: scratch.file("source"), scratch: scratch.folder("codec")? };
    scratch::write(asset::bytes(app, parameters.source()?).await?, &source.path).await?;
    let validated = match validate(work, import, &source).await? {
        Ok(validated) => validated,
        Err(errors) => return Ok(Err(refused(work, &scratch, errors).await?)),
    };
    job::note_losses(app, work.job.id, work.runner, &validated.losses).await??;
    Ok(Ok(write(work, import, &source, written, validated.records).await?))
}

fn summary(written: Written) -> String {
    let known = written.records - written.made;
    let made = format!("{} {} made", written.made, if written.made == 1 { "task" } else { "tasks" });
    if known == 0 { made } else { format!("{made}, {known} known before and left as they are") }
}

/// The file, and how it is read.
struct Source {
    format: &'static dyn Format,
    path: PathBuf,
    scratch: PathBuf,
}

/// A record on its way from the thread that reads.
struct Line {
    number: u64,
    record: Result<Record, Fault>,
}

/// What the reading thread sends.
enum Sent {
    Lines(Vec<Line>),
    /// The file is at its end.
    End(Losses),
    Failed(io::Error),
}

impl Source {
    /// Reads the file on a thread of its own, some batches ahead.
    fn read(&self) -> mpsc::Receiver<Sent> {
        let (sender, receiver) = mpsc::channel(2);
        let (format, path, scratch) = (self.format, self.path.clone(), self.scratch.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = send_all(format, &path, &scratch, &sender) {
                let _ = sender.blocking_send(Sent::Failed(error));
            }
        });
        receiver
    }
}

fn send_all(format: &dyn Format, path: &Path, scratch: &Path, sender: &mpsc::Sender<Sent>) -> io::Result<()> {
    // Each pass has an empty folder.
    std::fs::remove_dir_all(scratch)?;
    std::fs::create_dir_all(scratch)?;
    let mut reader = format.read(path, scratch)?;
    loop {
        let (mut lines, mut annotations) = (Vec::with_capacity(limits::JOB_RECORDS), 0);
        while lines.len() < limits::JOB_RECORDS && annotations < limits::JOB_ANNOTATIONS {
            let Some(read) = reader.next() else { break };
            let format::Read { line, record } = read?;
            let held = record.as_ref().map_or(0, |record| record.slots.iter().map(|slot| slot.annotations.len()).sum());
            annotations += i64::try_from(held).unwrap_or(i64::MAX);
            lines.push(Line { number: line, record });
        }
        if lines.is_empty() {
            let _ = sender.blocking_send(Sent::End(reader.losses().clone()));
            return Ok(());
        }
        if sender.blocking_send(Sent::Lines(lines)).is_err() {
            // Nobody listens any more.
            return Ok(());
        }
    }
}

/// What is wrong with the file: at most [`limits::IMPORT_FAULTS`] are kept.
#[derive(Default)]
struct Errors {
    kept: Vec<(u64, String, String)>,
    /// Records with at least one fault.
    records: u64,
    last: Option<u64>,
}

impl Errors {
    fn add(&mut self, line: u64, field: String, message: String) {
        self.records += u64::from(self.last != Some(line));
        self.last = Some(line);
        if self.kept.len() < limits::IMPORT_FAULTS {
            self.kept.push((line, field, message));
        }
    }
}

struct Validated {
    records: u64,
    losses: Losses,
}

/// The first reading: everything is checked, nothing is written.
async fn validate(work: &Work<'_>, import: &Import, source: &Source) -> Result<Result<Validated, Errors>, Stop> {
    let (mut errors, mut losses) = (Errors::default(), Losses::default());
    let mut records = 0_u64;
    // Hashes, not the ids: 8 bytes each, whatever their length. Two ids of one hash would be taken for one.
    let (hasher, mut external_ids) = (RandomState::new(), HashSet::new());
    let mut receiver = source.read();
    loop {
        work.must_go_on()?;
        let done = i64::try_from(records).unwrap_or(i64::MAX);
        let progress = Progress { step: Some(JobStep::Validate), done, total: None };
        job::advance(work.app, work.job.id, work.runner, progress).await??;
        let lines = match receiver.recv().await {
            Some(Sent::Lines(lines)) => lines,
            Some(Sent::End(found)) => {
                losses.join(&found);
                break;
            }
            Some(Sent::Failed(error)) if error.kind() == io::ErrorKind::InvalidData => {
                // No record is at fault, but the file as a whole.
                errors.add(0, String::new(), error.to_string());
                break;
            }
            Some(Sent::Failed(error)) => return Err(error.into()),
            None => return Err(io::Error::other("the reader stopped").into()),
        };
        records += lines.len() as u64;
        if records > limits::IMPORT_TASKS {
            return Err(ServiceError::limit("source", limits::IMPORT_TASKS, "records of one import").into());
        }
        let (mut numbers, mut sound) = (Vec::new(), Vec::new());
        for Line { number, record } in lines {
            match record {
                Ok(record) => {
                    numbers.push(number);
                    sound.push(record);
                }
                Err(Fault { field, message }) => errors.add(number, field, message),
            }
        }
        for (number, checked) in numbers.into_iter().zip(import.check(work.app, sound, &mut losses).await?) {
            match checked {
                Ok(checked) => {
                    if let Some(id) = checked.external_id()
                        && !external_ids.insert(hasher.hash_one(id))
                    {
                        errors.add(number, "externalId".to_owned(), format!("{id:?} stands in this file twice"));
                    }
                }
                Err(wrong) => errors.add(number, wrong.field, wrong.message),
            }
        }
    }
    // What is left out on purpose is no loss.
    if import.ignores_annotations() {
        losses = Losses::default();
    }
    Ok(if errors.records == 0 { Ok(Validated { records, losses }) } else { Err(errors) })
}

/// Ends an import whose file is wrong: nothing was written, and the errors are kept in a file.
async fn refused(work: &Work<'_>, scratch: &Scratch, errors: Errors) -> Result<End, Stop> {
    let path = scratch.file("errors");
    let mut file = io::BufWriter::new(std::fs::File::create(&path)?);
    for (line, field, message) in &errors.kept {
        writeln!(file, "{}", json!({ "line": line, "field": field, "message": message }))?;
    }
    file.flush()?;
    drop(file);
    let key = scratch::keep(work.app, &work.job, &path, "jsonl").await?;
    // Line 0: what belongs to no record.
    let first = errors.kept.first().map(|(line, field, message)| match (line, field.as_str()) {
        (0, "") => message.clone(),
        (0, field) => format!("{field}: {message}"),
        (line, "") => format!("line {line}: {message}"),
        (line, field) => format!("line {line}, {field}: {message}"),
    });
    let what = match errors.records {
        1 => "1 record is wrong".to_owned(),
        count => format!("{count} records are wrong"),
    };
    let message = format!("nothing was imported: {what}; {}", first.unwrap_or_default());
    Ok(End { state: JobState::Failed, message, result_key: None, errors_key: Some(key) })
}

/// The second reading: batch by batch into hidden tasks.
async fn write(
    work: &Work<'_>,
    import: &Import,
    source: &Source,
    mut written: Written,
    total: u64,
) -> Result<Written, Stop> {
    let mut to_skip = written.records;
    let mut receiver = source.read();
    while written.records < total {
        work.must_go_on()?;
        let lines = match receiver.recv().await {
            Some(Sent::Lines(lines)) => lines,
            Some(Sent::Failed(error)) => return Err(error.into()),
            Some(Sent::End(_)) | None => return Err(io::Error::other("the file has become shorter").into()),
        };
        let skipped = to_skip.min(lines.len() as u64);
        to_skip -= skipped;
        let lines = lines.into_iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let records: Vec<Record> = lines.filter_map(|line| line.record.ok()).collect();
        if records.is_empty() {
            continue;
        }
        let checked = import.check(work.app, records, &mut Losses::default()).await?;
        let batch: Result<Vec<Checked>, _> = checked.into_iter().collect();
        // It was sound when everything was checked: an asset was there then that is gone now.
        let batch = batch.map_err(|wrong| {
            ServiceError::transition("source", format!("changed meanwhile: {} {}", wrong.field, wrong.message))
        })?;
        written = import.write(work.app, work.runner, batch, written, total).await??;
    }
    Ok(written)
}

/// Shows what was written, chunk by chunk. Tasks that were shown before an interruption are not hidden any more.
async fn show(work: &Work<'_>, import: &Import, total: u64) -> Result<(), Stop> {
    let mut shown = 0;
    loop {
        work.must_go_on()?;
        match import.show(work.app, work.runner, shown, total).await?? {
            0 => return Ok(()),
            more => shown += more,
        }
    }
}
