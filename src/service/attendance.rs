//! Who is here: the credentials behind what stays open, sockets and streams. Each is looked at again when the installation
//! says that some have ended, when one runs out, and every minute; all of them together, whoever holds how many.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    domain::limits,
    repo::{Conn, sign_in::SecretHash},
    service::{
        App, ServiceError, Viewer,
        identity::{self, Credential},
    },
};

/// Something that stays open for somebody.
pub trait Guest: Send + Sync {
    /// Whoever it is open for may not stay.
    fn leave(&self, why: Leave);
}

/// Why somebody may not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The credential has ended, or its user was disabled.
    CredentialEnded,
    /// Their rights on the whole server are others: what was begun with the old ones ends.
    RightsChanged,
}

/// Who is here.
pub struct Attendance {
    visits: Mutex<HashMap<SecretHash, Visit>>,
    /// The installation's count of sign-ins that ended, as of the last look.
    looked: tokio::sync::Mutex<i64>,
    /// Look before the next is due.
    hurry: Notify,
    begun: Once,
}

/// One credential, and what is open with it.
struct Visit {
    credential: Credential,
    /// Whether something may have been begun with an admin's rights.
    admin: bool,
    guests: Vec<Weak<dyn Guest>>,
}

/// Credentials of one statement.
const AT_ONCE: usize = 1_000;

impl Default for Attendance {
    fn default() -> Self {
        let (visits, looked) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { visits, looked, hurry: Notify::new(), begun: Once::new() }
    }
}

impl Attendance {
    /// Something is open for a viewer, whose credential was looked up just now.
    pub fn enter(&self, app: &Arc<App>, viewer: &Viewer, guest: Weak<dyn Guest>) {
        self.begun.call_once(|| drop(tokio::spawn(watch(Arc::downgrade(app)))));
        let Some(credential) = viewer.credential() else { return };
        let mut visits = self.lock();
        let visit =
            visits.entry(credential.1).or_insert_with(|| Visit { credential, admin: false, guests: Vec::new() });
        visit.admin |= viewer.user.admin;
        if visit.guests.len() == visit.guests.capacity() {
            visit.guests.retain(|guest| guest.strong_count() > 0);
        }
        visit.guests.push(guest);
    }

    /// What comes next is begun by a viewer, who was looked up just now, for whom something is open.
    pub async fn learn(&self, app: &App, viewer: &Viewer) {
        let Some((_, hash)) = viewer.credential().filter(|_| viewer.user.admin) else { return };
        let is_known = self.lock().get_mut(&hash).is_none_or(|visit| std::mem::replace(&mut visit.admin, true));
        // A look that came between took them for what they were; the next one may be far away.
        if !is_known && Box::pin(self.look(app)).await.is_err() {
            self.hurry();
        }
    }

    /// Some credentials may have ended: look now.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Whoever has lost their way in up to the installation's count `sign_ins` has been told to leave afterwards.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub async fn know(&self, app: &App, sign_ins: i64) -> Result<(), ServiceError> {
        let mut looked = self.looked.lock().await;
        // Another one, not a higher one: after a restore or a failover it may have gone down.
        if *looked != sign_ins {
            // Boxed: only one of those who wait here looks.
            Box::pin(self.look(app)).await?;
            *looked = sign_ins;
        }
        Ok(())
    }

    /// Looks at all credentials, and says when the first of them ends by itself.
    async fn look(&self, app: &App) -> Result<Option<Duration>, ServiceError> {
        let credentials: Vec<Credential> = {
            let mut visits = self.lock();
            visits.retain(|_, visit| {
                visit.guests.retain(|guest| guest.strong_count() > 0);
                !visit.guests.is_empty()
            });
            visits.values().map(|visit| visit.credential).collect()
        };
        let mut next = None;
        for credentials in credentials.chunks(AT_ONCE) {
            let bearers = identity::still(app, credentials).await?;
            for (_, hash) in credentials {
                let bearer = bearers.get(hash);
                next = next.into_iter().chain(bearer.and_then(|bearer| bearer.ends_at)).min();
                self.keep_or_tell(*hash, bearer.map(|bearer| bearer.admin));
            }
        }
        let now = app.db.clock().process_now();
        Ok(next.map(|ends_at| (ends_at - now).to_std().unwrap_or_default()))
    }

    fn keep_or_tell(&self, hash: SecretHash, admin: Option<bool>) {
        let mut visits = self.lock();
        let Some(visit) = visits.get(&hash) else { return };
        let why = match admin {
            None => Leave::CredentialEnded,
            Some(false) if visit.admin => Leave::RightsChanged,
            Some(_) => return,
        };
        if let Some(visit) = visits.remove(&hash) {
            drop(visits);
            visit.guests.iter().filter_map(Weak::upgrade).for_each(|guest| guest.leave(why));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretHash, Visit>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again, until the server is gone.
async fn watch(app: Weak<App>) {
    let mut next = limits::ATTENDANCE_LOOK;
    loop {
        // Asleep it holds no more of the server than it takes to wake up.
        let Some((db, attendance)) = app.upgrade().map(|app| (app.db.clone(), app.attendance.clone())) else { return };
        let at = db.clock().uptime() + next.clamp(limits::ATTENDANCE_PAUSE, limits::ATTENDANCE_LOOK);
        tokio::select! {
            () = db.clock().sleep_until(at) => {}
            () = attendance.hurry.notified() => {}
        }
        let Some(app) = app.upgrade() else { return };
        next = match attendance.look(&app).await {
            Ok(next) => next.unwrap_or(limits::ATTENDANCE_LOOK),
            Err(error) => {
                tracing::debug!(%error, "cannot look at credentials");
                limits::ATTENDANCE_PAUSE
            }
        };
    }
}
