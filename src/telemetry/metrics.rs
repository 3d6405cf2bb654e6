//! The metric families. Labels take few values: no ids, no names.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, exponential_buckets,
};

/// The kinds of annotation, in lower case as labels have them.
const KINDS: [&str; 4] = ["bounding_box", "polygon", "classification", "text_span"];

/// All families of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// `annotation_throughput_total{kind,status}`: labeling work; status = started, succeeded, failed.
    pub annotation_throughput: IntCounterVec,
    /// `task_latency_seconds{phase}`: how long a task was in a phase of its life.
    pub task_latency: HistogramVec,
    /// `label_coverage_ratio{coverage_set}`: share of unarchived tasks with a live annotation whose label is in the
    /// coverage set.
    pub label_coverage: GaugeVec,
    /// `concord_claims_total{of,outcome}`: claims answered; of = task, review.
    pub claims: IntCounterVec,
    /// `concord_leases_ended_total{how}`: turns on slots that ended.
    pub leases_ended: IntCounterVec,
    /// `concord_leases_revived_total`: leases that ran out and went on.
    pub leases_revived: IntCounter,
    /// `concord_edits_total{outcome}`: edits answered; outcome = applied, merged, conflict, rejected, repeated.
    pub edits: IntCounterVec,
    /// `concord_conflicts_raised_total{cause}`: edits kept beside the current state.
    pub conflicts_raised: IntCounterVec,
    /// `concord_conflicts_resolved_total{choice}`: conflicts that people decided.
    pub conflicts_resolved: IntCounterVec,
    /// `concord_open_conflicts`: conflicts that wait for a person.
    pub open_conflicts: IntGauge,
    /// `concord_events_deleted_total`: events that are not kept any longer.
    pub events_deleted: IntCounter,
    /// `concord_subscriptions`: subscriptions to projects' events that this process serves.
    pub subscriptions: IntGauge,
    /// `concord_events_delivered_total`: events given to subscriptions, each as often as it was given.
    pub events_delivered: IntCounter,
    /// `concord_sockets_closed_total{code}`: sockets that ended, by the code they were closed with; `gone`: by the other end.
    pub sockets_closed: IntCounterVec,
    /// `concord_reaper_lag_seconds`: how late a lease or review that ran out was ended.
    pub reaper_lag: Histogram,
    /// `concord_queue_slots`: free slots that the queue hands out.
    pub queue_slots: IntGauge,
    /// `concord_queue_found_total{by}`: slots that claims found while the queue has its front in Redis; by = front, sql.
    pub queue_found: IntCounterVec,
    /// `concord_queue_front_slots`: slots in the fronts that this process uses.
    pub queue_front: IntGauge,
    /// `concord_queue_flight_slots`: slots that claims took out of them and that have not come back.
    pub queue_flight: IntGauge,
    /// `concord_tasks{state}`: tasks of all projects.
    pub tasks: IntGaugeVec,
    /// `concord_http_requests_total{route,status}`.
    pub http_requests: IntCounterVec,
    /// `concord_http_request_seconds{route}`.
    pub http_seconds: HistogramVec,
    /// `concord_graphql_errors_total{code}`.
    pub graphql_errors: IntCounterVec,
}

impl Metrics {
    /// Registers all families.
    ///
    /// # Errors
    /// When two families have one name: a fault of ours.
    pub fn new() -> prometheus::Result<Self> {
        // 0.01 * 2^k, k = 0..9: the fixed meaning of the design.
        let phases = exponential_buckets(0.01, 2.0, 10)?;
        let requests = exponential_buckets(0.001, 2.0, 14)?;
        let metrics = Self {
            registry: Registry::new(),
            annotation_throughput: IntCounterVec::new(
                Opts::new("annotation_throughput_total", "Labeling work, by kind of annotation and outcome."),
                &["kind", "status"],
            )?,
            task_latency: HistogramVec::new(
                HistogramOpts::new("task_latency_seconds", "Seconds a task was in a phase of its life.")
                    .buckets(phases),
                &["phase"],
            )?,
            label_coverage: GaugeVec::new(
                Opts::new("label_coverage_ratio", "Share of unarchived tasks with a label of the coverage set."),
                &["coverage_set"],
            )?,
            claims: IntCounterVec::new(
                Opts::new("concord_claims_total", "Claims answered, by what was claimed and what came of it."),
                &["of", "outcome"],
            )?,
            leases_ended: IntCounterVec::new(
                Opts::new("concord_leases_ended_total", "Turns on slots that ended, by how."),
                &["how"],
            )?,
            leases_revived: IntCounter::new("concord_leases_revived_total", "Leases that ran out and went on.")?,
            edits: IntCounterVec::new(Opts::new("concord_edits_total", "Edits answered, by outcome."), &["outcome"])?,
            conflicts_raised: IntCounterVec::new(
                Opts::new("concord_conflicts_raised_total", "Edits kept beside the current state, by cause."),
                &["cause"],
            )?,
            conflicts_resolved: IntCounterVec::new(
                Opts::new("concord_conflicts_resolved_total", "Conflicts that people decided, by choice."),
                &["choice"],
            )?,
            open_conflicts: IntGauge::new("concord_open_conflicts", "Conflicts that wait for a person.")?,
            events_deleted: IntCounter::new(
                "concord_events_deleted_total",
                "Events deleted because they were too old or too many.",
            )?,
            subscriptions: IntGauge::new("concord_subscriptions", "Subscriptions to events that are served.")?,
            events_delivered: IntCounter::new("concord_events_delivered_total", "Events given to subscriptions.")?,
            sockets_closed: IntCounterVec::new(
                Opts::new("concord_sockets_closed_total", "Sockets that ended, by the code they were closed with."),
                &["code"],
            )?,
            reaper_lag: Histogram::with_opts(
                HistogramOpts::new("concord_reaper_lag_seconds", "Seconds between a lease's end and its ending.")
                    .buckets(exponential_buckets(0.125, 2.0, 12)?),
            )?,
            queue_slots: IntGauge::new("concord_queue_slots", "Free slots that the queue hands out.")?,
            queue_found: IntCounterVec::new(
                Opts::new(
                    "concord_queue_found_total",
                    "Slots that claims found, by the front in Redis or the database.",
                ),
                &["by"],
            )?,
            queue_front: IntGauge::new("concord_queue_front_slots", "Slots in the fronts that this process uses.")?,
            queue_flight: IntGauge::new("concord_queue_flight_slots", "Slots that claims took out of these fronts.")?,
            tasks: IntGaugeVec::new(Opts::new("concord_tasks", "Tasks of all projects, by state."), &["state"])?,
            http_requests: IntCounterVec::new(
                Opts::new("concord_http_requests_total", "HTTP requests answered, by route and status."),
                &["route", "status"],
            )?,
            http_seconds: HistogramVec::new(
                HistogramOpts::new("concord_http_request_seconds", "Seconds to answer an HTTP request.")
                    .buckets(requests),
                &["route"],
            )?,
            graphql_errors: IntCounterVec::new(
                Opts::new("concord_graphql_errors_total", "Errors given to GraphQL clients, by code."),
                &["code"],
            )?,
        };
        let build =
            IntGaugeVec::new(Opts::new("concord_build_info", "Always 1; the label says the build."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics.registry.register(Box::new(build))?;
        metrics.registry.register(Box::new(metrics.annotation_throughput.clone()))?;
        metrics.registry.register(Box::new(metrics.task_latency.clone()))?;
        metrics.registry.register(Box::new(metrics.label_coverage.clone()))?;
        metrics.registry.register(Box::new(metrics.claims.clone()))?;
        metrics.registry.register(Box::new(metrics.leases_ended.clone()))?;
        metrics.registry.register(Box::new(metrics.leases_revived.clone()))?;
        metrics.registry.register(Box::new(metrics.edits.clone()))?;
        metrics.registry.register(Box::new(metrics.conflicts_raised.clone()))?;
        metrics.registry.register(Box::new(metrics.conflicts_resolved.clone()))?;
        metrics.registry.register(Box::new(metrics.open_conflicts.clone()))?;
        metrics.registry.register(Box::new(metrics.events_deleted.clone()))?;
        metrics.registry.register(Box::new(metrics.subscriptions.clone()))?;
        metrics.registry.register(Box::new(metrics.events_delivered.clone()))?;
        metrics.registry.register(Box::new(metrics.sockets_closed.clone()))?;
        metrics.registry.register(Box::new(metrics.reaper_lag.clone()))?;
        metrics.registry.register(Box::new(metrics.queue_slots.clone()))?;
        metrics.registry.register(Box::new(metrics.queue_found.clone()))?;
        metrics.registry.register(Box::new(metrics.queue_front.clone()))?;
        metrics.registry.register(Box::new(metrics.queue_flight.clone()))?;
        metrics.registry.register(Box::new(metrics.tasks.clone()))?;
        metrics.registry.register(Box::new(metrics.http_requests.clone()))?;
        metrics.registry.register(Box::new(metrics.http_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.graphql_errors.clone()))?;
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// A series that is there from the start can be alerted on before its first event.
    fn start_at_zero(&self) {
        for kind in KINDS {
            for status in ["started", "succeeded", "failed"] {
                self.annotation_throughput.with_label_values(&[kind, status]);
            }
        }
        for phase in ["queued", "claimed", "labeled", "reviewed", "saved", "completed"] {
            self.task_latency.with_label_values(&[phase]);
        }
        for how in ["submitted", "skipped", "released", "expired", "revoked"] {
            self.leases_ended.with_label_values(&[how]);
        }
        for outcome in ["applied", "merged", "conflict", "rejected", "repeated"] {
            self.edits.with_label_values(&[outcome]);
        }
        for cause in ["concurrent", "deleted", "invalid_merge", "old_epoch", "late"] {
            self.conflicts_raised.with_label_values(&[cause]);
        }
        for by in ["front", "sql"] {
            self.queue_found.with_label_values(&[by]);
        }
        for choice in ["current", "incoming", "merged"] {
            self.conflicts_resolved.with_label_values(&[choice]);
        }
        for code in ["gone", "1001", "1013", "4400", "4401", "4403", "4408", "4409", "4429"] {
            self.sockets_closed.with_label_values(&[code]);
        }
        self.label_coverage.with_label_values(&["all"]).set(0.0);
    }

    /// A task, or a request about one, was so long in a phase of its life.
    pub fn phase(&self, phase: &str, lasted: Duration) {
        self.task_latency.with_label_values(&[phase]).observe(lasted.as_secs_f64());
    }

    /// A claim was answered.
    pub fn claimed(&self, of: &str, outcome: &str, took: Duration) {
        self.claims.with_label_values(&[of, outcome]).inc();
        self.phase("claimed", took);
    }

    /// All families in Prometheus' text format.
    ///
    /// # Errors
    /// When a family cannot be written.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
