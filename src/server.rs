//! The server: the only place where layers are put together.
//!
//! [`Server::start`] opens the trail, loads what the configuration names, and
//! serves; a fault stops it before the first call is taken. It follows what becomes
//! of its files. [`Server::shutdown`] lets running calls finish. A trail that can't
//! be written ends the server.

pub mod calls;
mod error;
pub mod listen;
mod plain;
mod reload;
mod retention;
pub mod state;
pub mod tls;
pub mod upstreams;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes, transport::server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    audit::{self, Availability, Trail},
    call::Ledger,
    checkpoints::Publisher,
    clock::Clock,
    config::Config,
    contract::{
        Contract, DESCRIPTOR_SET,
        proto::keygate::{
            access::v1::access_service_server::AccessServiceServer,
            audit::v1::audit_service_server::AuditServiceServer,
            braintrust::v1 as braintrust,
            coveo,
            datadog::v1,
            datadog::v2::{
                api_key_service_server::ApiKeyServiceServer,
                application_key_service_server::ApplicationKeyServiceServer,
                current_user_application_key_service_server::CurrentUserApplicationKeyServiceServer,
                personal_access_token_service_server::PersonalAccessTokenServiceServer,
                service_account_key_service_server::ServiceAccountKeyServiceServer,
            },
        },
    },
    gateway::{Gateway, Reconciler},
    live::Live,
    random::Random,
    tasks::Tasks,
    telemetry::{Logs, Metrics},
};
pub use error::Error;
use reload::{Files, Reloader, Running};
use state::Loader;

/// Whether the server serves, and why not.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Reasons>>);

#[derive(Debug, Default)]
struct Reasons {
    /// Why it takes no more calls.
    ending: Option<&'static str>,
    /// Why it takes none for now.
    passing: Option<&'static str>,
}

impl Readiness {
    /// Why it does not serve; `None` if it does.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let reasons = self.reasons();
        reasons.ending.or(reasons.passing)
    }

    fn end(&self, reason: &'static str) {
        self.reasons().ending = Some(reason);
    }

    fn pause(&self, reason: Option<&'static str>) {
        self.reasons().passing = reason;
    }

    fn reasons(&self) -> MutexGuard<'_, Reasons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that serves.
#[derive(Debug)]
pub struct Server {
    grpc: SocketAddr,
    http: SocketAddr,
    ending: Ending,
    grace: Duration,
    tasks: Tasks,
    trail: Trail,
    publisher: Publisher,
    /// Asks for everything to be read anew.
    reload: Arc<Notify>,
}

/// What ends a server, and what ends with it.
#[derive(Clone, Debug)]
struct Ending {
    readiness: Readiness,
    health: HealthReporter,
    services: Arc<[&'static str]>,
    /// No more calls are taken.
    closing: CancellationToken,
    /// The last call has been answered.
    closed: CancellationToken,
}

impl Ending {
    async fn begin(&self, reason: &'static str) {
        self.readiness.end(reason);
        self.tell_health().await;
        self.closing.cancel();
    }

    /// Follows whether the trail's store can be reached, for as long as that is so.
    async fn follow(&self, mut availability: watch::Receiver<Availability>) {
        while availability.changed().await.is_ok() {
            let missed = match &*availability.borrow_and_update() {
                Availability::Here => None,
                Availability::Missed(cause) => Some(cause.clone()),
                Availability::Away(cause) => Some(cause.clone()),
            };
            match &missed {
                None => tracing::info!("the audit store is there again"),
                Some(cause) => {
                    let error = &**cause as &dyn std::error::Error;
                    tracing::error!(error, "the audit store can't be reached");
                }
            }
            let reason = "the audit store can't be reached";
            self.readiness.pause(missed.map(|_| reason));
            self.tell_health().await;
        }
    }

    /// Tells those who ask for the health whether it serves by now.
    async fn tell_health(&self) {
        let status = match self.readiness.reason() {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        for service in self.services.iter() {
            self.health.set_service_status(service, status).await;
        }
        if status == ServingStatus::Serving && self.readiness.reason().is_some() {
            // it has ended meanwhile
            Box::pin(self.tell_health()).await;
        }
    }

    /// Ends the streams of those who watch the health: they have seen that it does
    /// not serve, and would hold the shutdown up.
    async fn end_watches(&self) {
        let mut health = self.health.clone();
        for service in self.services.iter() {
            health.clear_service_status(service).await;
        }
    }
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// [`Error`] if anything that it needs is not as it has to be.
    pub async fn start(
        config: Config,
        logs: Logs,
        clock: Clock,
        random: Random,
    ) -> Result<Self, Error> {
        Self::start_on(Trail::open, config, logs, clock, random).await
    }

    /// Starts a server on a trail that is opened otherwise than by its settings: for
    /// a benchmark that holds the cost of a trail against none.
    ///
    /// # Errors
    /// [`Error`] if anything that it needs is not as it has to be.
    #[doc(hidden)]
    pub async fn start_on(
        open: fn(&audit::Settings, Clock, Random) -> Result<Trail, audit::Error>,
        config: Config,
        logs: Logs,
        clock: Clock,
        random: Random,
    ) -> Result<Self, Error> {
        let tasks = Tasks::new();
        let contract = Arc::new(Contract::load()?);
        let loader = Loader {
            contract: contract.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
        };
        // before anything is read: what changes from now on is noticed
        let files = Files::of(&config).await;
        let loaded = loader.load(&config, None).await;
        let loaded = loaded.map_err(|it| Error::Faults(it.faults))?;
        loaded.remark();
        let live = Live::new(loaded.state);
        let trail = open(&config.audit.store, clock.clone(), random.clone())?;
        let metrics = Metrics::new();
        let publisher = Publisher::start(trail.clone(), &config.audit.checkpoints, &metrics);
        let publisher = publisher.map_err(Error::Checkpoints)?;
        upstreams::follow(&loaded.new, (&clock, &random), &tasks, &metrics);

        let closing = CancellationToken::new();
        let gateway = Arc::new(Gateway::new(
            contract.clone(),
            Arc::new(live.clone()),
            closing.clone(),
        ));
        let ledger = Ledger {
            trail: trail.clone(),
            clock: clock.clone(),
            random,
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let traced = crate::datadog::tracers()
            .chain(crate::braintrust::tracers())
            .chain(crate::coveo::tracers());
        let reconciler = Reconciler::new(ledger.clone(), Arc::new(live.clone()), traced);
        let calls = calls::Calls::new(calls::Settings {
            contract,
            live: live.clone(),
            ledger,
        });

        let grpc = listen::bind("server.grpc", config.server.grpc).await?;
        let http = listen::bind("server.http", config.server.http).await?;
        let addresses = (listen::address(&grpc)?, listen::address(&http)?);
        upstreams::first_look(&loaded.new, &clock).await;
        let (routes, ending) = routes(&gateway, config.server.max_message_bytes, closing).await;

        let transport = server::Server::builder()
            .max_concurrent_streams(config.server.max_concurrent_streams)
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .http2_max_header_list_size(32 * 1024)
            .http2_max_pending_accept_reset_streams(Some(64))
            .layer(calls);
        let routes = routes.prepare();
        // each by itself, so that each can be asked to end by itself
        let serve = move |connection, end: CancellationToken| {
            let (transport, routes) = (transport.clone(), routes.clone());
            async move {
                let one = tokio_stream::once(Ok::<_, std::io::Error>(connection));
                let one = one.chain(tokio_stream::pending());
                let end = end.cancelled_owned();
                let served = transport.serve_with_incoming_shutdown(routes, one, end);
                if let Err(error) = served.await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a connection failed"
                    );
                }
            }
        };
        let port = listen::Port {
            live: live.clone(),
            clock: clock.clone(),
            closing: ending.closing.clone(),
        };
        let (closed, most) = (ending.closed.clone(), config.server.max_connections);
        let spawner = tasks.clone();
        tasks.spawn(async move {
            listen::serve(port, grpc, most, serve, &spawner).await;
            closed.cancel();
        });
        let reload = Arc::new(Notify::new());
        let grace = config.server.shutdown_grace;
        let retention = retention::keep_to(trail.clone(), live.clone(), clock);
        tasks.spawn_background(retention);
        let running = Running {
            loader,
            live,
            logs,
            metrics: metrics.clone(),
        };
        if let Some(reloader) = Reloader::new(running, config, files) {
            tasks.spawn_background(reloader.run(reload.clone()));
        }
        tasks.spawn_background(reconciler.run());
        let plain = plain::router(metrics, ending.readiness.clone());
        tasks.spawn_background(async move {
            if let Err(error) = axum::serve(http, plain).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the HTTP port failed"
                );
            }
        });
        let (availability, watch) = (trail.availability(), ending.clone());
        tasks.spawn_background(async move { watch.follow(availability).await });
        let watched = trail.clone();
        tasks.spawn_background(async move { watched.watch().await });
        let (failed, watch) = (trail.failed(), ending.clone());
        tasks.spawn_background(async move {
            failed.cancelled().await;
            watch.begin("the audit trail can't be written").await;
        });
        Ok(Self {
            grpc: addresses.0,
            http: addresses.1,
            ending,
            grace,
            tasks,
            trail,
            publisher,
            reload,
        })
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where metrics and probes are served.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Reads everything anew, also what commands give, without waiting for a file to
    /// change. What becomes of it is logged.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Resolves when the server takes no more calls by itself: the trail failed.
    pub async fn ended(&self) {
        self.ending.closing.cancelled().await;
    }

    /// Takes no more calls, lets those under way finish, and closes the trail.
    ///
    /// # Errors
    /// [`Error::Audit`] if the trail had failed, or can't be closed.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.ending.begin("shutting down").await;
        self.ending.end_watches().await;
        let time_is_up = tokio::time::sleep(self.grace);
        tokio::pin!(time_is_up);
        tokio::select! {
            () = self.ending.closed.cancelled() => {}
            () = &mut time_is_up => {
                tracing::warn!("connections were still open when the time to finish was over");
            }
        }
        tokio::select! {
            _ = self.tasks.wait(self.grace) => {}
            () = time_is_up => {
                tracing::warn!("work was still under way when the time to finish was over");
            }
        }
        self.publisher.finish().await;
        Ok(self.trail.close().await?)
    }
}

/// Checks what a configuration names, as [`Server::start`] would use it, and tells
/// what is no fault, and hardly meant.
///
/// # Errors
/// Every fault.
pub async fn check(
    config: &Config,
    contract: Arc<Contract>,
    clock: Clock,
    random: Random,
) -> Result<Vec<String>, Error> {
    let loader = Loader {
        contract,
        clock,
        random,
        tasks: Tasks::new(),
    };
    let loaded = loader.load(config, None).await;
    loader.tasks.stop();
    let loaded = loaded.map_err(|it| Error::Faults(it.faults))?;
    Ok(loaded.remarks)
}

/// All services: the contract's, health and reflection.
async fn routes(
    gateway: &Arc<Gateway>,
    limit: usize,
    closing: CancellationToken,
) -> (Routes, Ending) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut services = vec![""];
    let mut routes = Routes::builder();
    macro_rules! serve {
        ($($($service:ident)::+),* $(,)?) => {$(
            services.push(<$($service)::+<Gateway> as NamedService>::NAME);
            routes.add_service(
                $($service)::+::from_arc(gateway.clone()).max_decoding_message_size(limit),
            );
        )*};
    }
    serve!(
        AccessServiceServer,
        AuditServiceServer,
        ApiKeyServiceServer,
        ApplicationKeyServiceServer,
        CurrentUserApplicationKeyServiceServer,
        PersonalAccessTokenServiceServer,
        ServiceAccountKeyServiceServer,
        v1::api_key_service_server::ApiKeyServiceServer,
        v1::application_key_service_server::ApplicationKeyServiceServer,
        braintrust::api_key_service_server::ApiKeyServiceServer,
        braintrust::service_token_service_server::ServiceTokenServiceServer,
        coveo::v1::api_key_service_server::ApiKeyServiceServer,
    );
    for service in &services {
        health
            .set_service_status(service, ServingStatus::Serving)
            .await;
    }
    routes.add_service(health_service);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // clients of either version; the descriptor set was read by `Contract::load`
    if let Ok(service) = reflection().build_v1() {
        routes.add_service(service);
    }
    if let Ok(service) = reflection().build_v1alpha() {
        routes.add_service(service);
    }
    let ending = Ending {
        readiness: Readiness::default(),
        health,
        services: services.into(),
        closing,
        closed: CancellationToken::new(),
    };
    (routes.routes(), ending)
}
