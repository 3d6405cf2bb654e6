//! What nobody asks for: leases and reviews that ran out are ended, reservations that ended are opened, old request ids
//! are forgotten, and what operators watch is counted.

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        counter::Counter,
        ids::TaskId,
        life_cycle::Event,
        limits,
        words::{AssignmentState, SlotState, TaskState},
    },
    repo::{event, queue, session, slot, stats},
    service::{
        App, ServiceError,
        locked::{Change, Locked},
    },
};

/// Ends every lease and review that has run out, a transaction each.
///
/// # Errors
/// [`ServiceError`] of the database; what was ended before it stays so.
pub async fn reap(app: &App) -> Result<(), ServiceError> {
    loop {
        let expired = queue::expired(&app.db).await?;
        let found = expired.len() as u64;
        let mut ended = 0_u64;
        for (task, ran_out_at) in expired {
            // One task that cannot be ended must not keep the others from it.
            match end_expired(app, task, ran_out_at).await {
                Ok(has_ended) => ended += u64::from(has_ended),
                Err(error @ ServiceError::Unavailable(_)) => return Err(error),
                Err(error) => tracing::error!(task.id = %task, %error, "what ran out could not be ended"),
            }
        }
        // Less than a full look is all there was; what another replica holds is its to end.
        if found < limits::REAPED || ended == 0 {
            return Ok(());
        }
    }
}

/// Whether anything of the task had run out and was ended.
async fn end_expired(app: &App, task: TaskId, ran_out_at: DateTime<Utc>) -> Result<bool, ServiceError> {
    let txn = app.db.begin().await?;
    let Some(mut locked) = Locked::unattended(&txn, task).await? else { return Ok(false) };
    // A heartbeat moves a lease's end without the task's lock: what is ended here must not have been kept meanwhile.
    locked.slots = slot::lock_of_task(&txn, task).await?;
    let now = locked.now;
    let has_run_out = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
    let expired = |index: &usize| {
        let slot = &locked.slots[*index];
        slot.state == SlotState::Leased && has_run_out(slot.lease_expires_at)
    };
    let slots: Vec<usize> = (0..locked.slots.len()).filter(expired).collect();
    let review = locked.task.state == TaskState::InReview && has_run_out(locked.task.review_expires_at);
    let max_expiries = locked.project.max_expiries;
    let mut change = Change::of(locked, None);
    for index in &slots {
        change.free(*index, AssignmentState::Expired)?;
        change.after.task.expiries += 1;
    }
    if review {
        change.apply(Event::ReviewEnded)?;
    }
    if !review && slots.is_empty() {
        return Ok(false);
    }
    let expiries = change.after.task.expiries;
    let is_quarantined =
        !slots.is_empty() && expiries >= max_expiries && change.after.task.state != TaskState::Quarantined;
    if is_quarantined {
        let reason = format!("its leases ran out {expiries} times");
        change = change.because(Some(reason.clone()));
        change.apply(Event::Quarantined)?;
        change.after.task.quarantine_reason = Some(reason);
    }
    change.write(&txn).await?.commit(app, txn).await?;
    app.metrics.reaper_lag.observe((now - ran_out_at).as_seconds_f64());
    if is_quarantined {
        tracing::warn!(task.id = %task, expiries, "task quarantined");
    }
    Ok(true)
}

/// Mends what a crash, a removed member or time left behind, and counts what waits.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn reconcile(app: &App) -> Result<(), ServiceError> {
    loop {
        let opened = queue::end_reservations(&app.db, limits::RECONCILED).await?;
        for (project, task) in &opened {
            app.queue.offer(*project, vec![*task]);
        }
        if (opened.len() as u64) < limits::RECONCILED {
            break;
        }
    }
    app.queue.reconcile().await?;
    while session::forget_requests(&app.db, limits::RECONCILED).await? >= limits::RECONCILED {}
    let totals = event::totals(&app.db).await?;
    app.metrics.queue_slots.set(totals.get(Counter::Claimable));
    app.metrics.open_conflicts.set(totals.get(Counter::OpenConflicts));
    for (state, counter) in Counter::of_tasks() {
        app.metrics.tasks.with_label_values(&[&state.as_str().to_lowercase()]).set(totals.get(counter));
    }
    Ok(())
}

/// Computes what takes a walk over all tasks.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn survey(app: &App) -> Result<(), ServiceError> {
    let ratio = stats::label_coverage_ratio(&app.db, None).await?;
    app.metrics.label_coverage.with_label_values(&["all"]).set(ratio);
    Ok(())
}
