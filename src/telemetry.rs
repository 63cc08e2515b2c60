//! Logs and metrics. Neither ever holds a secret: what is logged is chosen field
//! by field, and labels come from closed sets.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry,
};
use tonic::Code;
use tracing_subscriber::{
    EnvFilter, Registry,
    layer::SubscriberExt as _,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

use crate::{audit::Finding, status::code_name};

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

/// What decides which lines are logged. Cheap to clone. The default one decides
/// nothing: logging is somebody else's.
#[derive(Clone, Debug, Default)]
pub struct Logs(Option<Handle<EnvFilter, Registry>>);

impl Logs {
    /// Sends logs to standard error, one JSON object a line, or as text.
    ///
    /// # Errors
    /// [`Error`] if the filter can't be read, or logging is set up already.
    pub fn init(filter: &str, json: bool) -> Result<Self, Error> {
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let logs = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let set = if json {
            logs.with(lines.json().flatten_event(true)).try_init()
        } else {
            logs.with(lines).try_init()
        };
        set.map_err(|_| Error::Twice)?;
        Ok(Self(Some(handle)))
    }

    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// [`Error::Filter`] if it can't be read.
    pub fn filter(&self, filter: &str) -> Result<(), Error> {
        let filter = parse(filter)?;
        // it can only fail where nothing is logged any more
        let _ = self.0.as_ref().map(|it| it.reload(filter));
        Ok(())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(filter).map_err(|_| Error::Filter(filter.to_owned()))
}

/// The process's figures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: registry::Registry,
    calls: Family<CallLabels, Counter>,
    durations: Family<MethodLabels, Histogram, fn() -> Histogram>,
    upstream: Family<UpstreamLabels, Counter>,
    in_flight: Gauge,
    unresolved: Gauge,
    reconciled: Family<FindingLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    loaded_at: Gauge,
    reload_failed: Gauge,
    restart_needed: Gauge,
    own_keys: Family<PlaceLabels, Gauge>,
    checkpoint_size: Family<OutletLabels, Gauge>,
    checkpoint_failures: Family<OutletLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutletLabels {
    outlet: &'static str,
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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PlaceLabels {
    upstream: String,
}

impl PlaceLabels {
    fn of(upstream: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    finding: &'static str,
}

const TAKEN: ReloadLabels = ReloadLabels { result: "taken" };
const REFUSED: ReloadLabels = ReloadLabels { result: "refused" };

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = registry::Registry::with_prefix("keygate");
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
        let (unresolved, reconciled) = (Gauge::default(), Family::default());
        registry.register(
            "calls_unresolved",
            "Changes of which nobody knows yet whether upstream has made them",
            unresolved.clone(),
        );
        registry.register(
            "calls_reconciled",
            "Changes of which that was found out later, by what was found",
            reconciled.clone(),
        );
        for finding in Finding::ALL {
            let finding = finding.name();
            drop(reconciled.get_or_create(&FindingLabels { finding }));
        }
        let (reloads, loaded_at) = (Family::default(), Gauge::default());
        let (reload_failed, restart_needed) = (Gauge::default(), Gauge::default());
        registry.register(
            "reloads",
            "Configurations that came into force (`taken`, the first included), and such that could not (`refused`)",
            reloads.clone(),
        );
        registry.register(
            "configuration_loaded_timestamp_seconds",
            "When the configuration came into force, in seconds since the Unix epoch",
            loaded_at.clone(),
        );
        registry.register(
            "reload_failed",
            "1 if what is configured can't be used, so that what was in force before still is",
            reload_failed.clone(),
        );
        registry.register(
            "restart_needed",
            "How many settings have changed that take a restart",
            restart_needed.clone(),
        );
        let own_keys = Family::default();
        registry.register(
            "own_keys_known",
            "1 if the gateway knows its own keys at an upstream; until it does, it changes none there by its id",
            own_keys.clone(),
        );
        let (checkpoint_size, checkpoint_failures) = (Family::default(), Family::default());
        registry.register(
            "checkpoint_size",
            "How many records the newest checkpoint covers that was sent out",
            checkpoint_size.clone(),
        );
        registry.register(
            "checkpoint_failures",
            "Checkpoints that could not be sent out",
            checkpoint_failures.clone(),
        );
        // there from the start, so that a first failure is a change
        for labels in [TAKEN, REFUSED] {
            drop(reloads.get_or_create(&labels));
        }
        Self(Arc::new(Figures {
            registry,
            calls,
            durations,
            upstream,
            in_flight,
            unresolved,
            reconciled,
            reloads,
            loaded_at,
            reload_failed,
            restart_needed,
            own_keys,
            checkpoint_size,
            checkpoint_failures,
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

    /// Of how many changes it is not known whether upstream has made them.
    pub fn unresolved(&self, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.0.unresolved.set(calls);
    }

    /// What was found out of such a change.
    pub fn reconciled(&self, finding: Finding) {
        let finding = finding.name();
        let labels = FindingLabels { finding };
        self.0.reconciled.get_or_create(&labels).inc();
    }

    /// A configuration has come into force, but for so many settings that take a
    /// restart.
    pub fn configuration_taken(&self, at: SystemTime, fixed: usize) {
        let figures = &self.0;
        let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since_1970.unwrap_or_default().as_secs();
        figures.reloads.get_or_create(&TAKEN).inc();
        figures
            .loaded_at
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        figures.reload_failed.set(0);
        let fixed = i64::try_from(fixed).unwrap_or(i64::MAX);
        figures.restart_needed.set(fixed);
    }

    /// What is configured could not come into force.
    pub fn configuration_refused(&self) {
        self.0.reloads.get_or_create(&REFUSED).inc();
        self.0.reload_failed.set(1);
    }

    /// Whether it is known which keys at an upstream are our own.
    pub fn own_keys(&self, upstream: &str, are_known: bool) {
        let figure = self.0.own_keys.get_or_create(&PlaceLabels::of(upstream));
        figure.set(are_known.into());
    }

    /// There is no such upstream any more.
    pub fn own_keys_forgotten(&self, upstream: &str) {
        self.0.own_keys.remove(&PlaceLabels::of(upstream));
    }

    /// A checkpoint was sent out.
    pub fn checkpoint_sent(&self, outlet: &'static str, size: u64) {
        let gauge = self
            .0
            .checkpoint_size
            .get_or_create(&OutletLabels { outlet });
        gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    /// A checkpoint could not be sent out.
    pub fn checkpoint_failed(&self, outlet: &'static str) {
        let labels = OutletLabels { outlet };
        self.0.checkpoint_failures.get_or_create(&labels).inc();
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
