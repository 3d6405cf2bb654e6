//! The metric families. Labels take few values: no ids, no names.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, exponential_buckets,
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
        self.label_coverage.with_label_values(&["all"]).set(0.0);
    }

    /// All families in Prometheus' text format.
    ///
    /// # Errors
    /// When a family cannot be written.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
