//! The front of the queue in Redis, as tests look at it.

use concord::backend::queue::{Extent, Front, Inspection};

use crate::harness::{Project, TestApp, wait_until};

impl TestApp {
    fn front(&self) -> &Front {
        self.use_cases().queue.front().expect("the queue has its front in Redis")
    }

    /// The project's front, held against the database.
    pub(crate) async fn inspect(&self, project: &Project) -> Inspection {
        self.front().inspect(project.id.parse().unwrap()).await.expect("Redis and the database answer")
    }

    /// Makes the project's front from the database.
    pub(crate) async fn fill(&self, project: &Project) {
        self.front().rebuild(project.id.parse().unwrap()).await.expect("Redis and the database answer");
    }

    /// Waits until the front holds so many slots, all that wait, and was told of all that the server changed.
    pub(crate) async fn front_holds(&self, project: &Project, slots: usize) {
        let all = Inspection { extent: Extent::All, front: slots, flight: 0, missing: 0, ghosts: 0 };
        wait_until(&format!("a front of {slots}"), async || {
            self.front().is_relied_on(project.id.parse().unwrap()) && self.inspect(project).await == all
        })
        .await;
    }

    /// Waits until the index was told of all that the server changed.
    pub(crate) async fn is_told(&self, project: &Project) {
        let project = project.id.parse().unwrap();
        wait_until("the index to be told", async || self.front().is_relied_on(project)).await;
    }

    /// Waits until the server knows that Redis answers again.
    pub(crate) async fn redis_answers(&self, project: &Project) {
        let project = project.id.parse().unwrap();
        wait_until("Redis to answer", async || self.front().inspect(project).await.is_ok()).await;
    }

    /// How many slots claims found so far, by the front and by the database.
    pub(crate) fn found(&self) -> (u64, u64) {
        let found = |by| self.use_cases().metrics.queue_found.with_label_values(&[by]).get();
        (found("front"), found("sql"))
    }
}
