//! Logs and metrics. Neither ever holds a secret: what is logged is chosen field
//! by field, and labels come from closed sets.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use tonic::Code;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};

use crate::status::code_name;

/// Why logging can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter can't be read.
    #[error("the log filter {0:?} can't be read")]
    Filter(String),
    /// Logging is set up already.
    #[error("logging is set up already")]
    Twice,
}

/// Sends logs to standard error, one JSON object a line, or as text.
///
/// # Errors
/// [`Error`] if the filter can't be read, or logging is set up already.
pub fn init_logs(filter: &str, json: bool) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|_| Error::Filter(filter.to_owned()))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = if json {
        logs.json().flatten_event(true).finish().try_init()
    } else {
        logs.finish().try_init()
    };
    set.map_err(|_| Error::Twice)
}

/// The process's figures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    durations: Family<MethodLabels, Histogram, fn() -> Histogram>,
    upstream: Family<UpstreamLabels, Counter>,
    in_flight: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    rpc: String,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodLabels {
    rpc: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
    status: String,
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keygate");
        let calls = Family::default();
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(durations as fn() -> Histogram);
        let upstream = Family::default();
        let in_flight = Gauge::default();
        registry.register(
            "calls",
            "Calls ended, by method and gRPC code",
            calls.clone(),
        );
        registry.register(
            "call_duration_seconds",
            "How long calls took",
            durations.clone(),
        );
        registry.register(
            "upstream_answers",
            "Answers of upstreams, by status; `none` where there was none",
            upstream.clone(),
        );
        registry.register("calls_in_flight", "Calls under way", in_flight.clone());
        Self(Arc::new(Figures {
            registry,
            calls,
            durations,
            upstream,
            in_flight,
        }))
    }

    /// A call has ended.
    pub fn call_ended(&self, rpc: &str, code: Code, took: Duration) {
        let code = code_name(code);
        let rpc = rpc.to_owned();
        let labels = MethodLabels { rpc: rpc.clone() };
        self.0.calls.get_or_create(&CallLabels { rpc, code }).inc();
        let histogram = self.0.durations.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }

    /// An upstream has answered, or not.
    pub fn upstream_answered(&self, upstream: &str, status: Option<u16>) {
        let labels = UpstreamLabels {
            upstream: upstream.to_owned(),
            status: status.map_or_else(|| "none".to_owned(), |it| it.to_string()),
        };
        self.0.upstream.get_or_create(&labels).inc();
    }

    /// How many calls are under way.
    pub fn in_flight(&self, calls: usize) {
        self.0
            .in_flight
            .set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// All figures in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        // writing to a string does not fail
        let _ = text::encode(&mut out, &self.0.registry);
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
