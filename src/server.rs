//! The server: the only place where layers are put together.
//!
//! [`Server::start`] opens the trail, loads what the configuration names, and
//! serves; a fault stops it before the first call is taken. [`Server::shutdown`]
//! lets running calls finish. A trail that can't be written ends the server.

pub mod calls;
pub mod listen;
mod plain;
pub mod upstreams;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes, transport::server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    audit::{self, Trail},
    auth::Authenticator,
    call::Ledger,
    clock::Clock,
    config::Config,
    contract::{
        self, Contract, DESCRIPTOR_SET,
        proto::keygate::{
            access::v1::access_service_server::AccessServiceServer,
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
    gateway::{Gateway, Limits},
    policy::{self, Policy},
    random::Random,
    settings,
    tasks::Tasks,
    telemetry::Metrics,
};

/// Why a server can't start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The contract is not classified.
    #[error("the contract can't be served")]
    Contract(#[from] contract::Error),
    /// There is no policy.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// Issuers' keys can't be loaded.
    #[error(transparent)]
    Auth(settings::Faults),
    /// The trail can't be used.
    #[error("the audit trail can't be used")]
    Audit(#[from] audit::Error),
    /// Upstreams can't be called.
    #[error("{}", lines(.0))]
    Upstreams(Vec<upstreams::Error>),
    /// TLS can't be set up.
    #[error("server.tls can't be used")]
    Tls(#[from] listen::Error),
    /// A port can't be had.
    #[error("{setting}: {address} can't be listened on: {fault}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        fault: std::io::Error,
    },
    /// The transport failed.
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
}

fn lines(errors: &[upstreams::Error]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Whether the server serves, and why not.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Option<&'static str>>>);

impl Readiness {
    /// Why it does not serve; `None` if it does.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
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
        for service in self.services.iter() {
            let status = ServingStatus::NotServing;
            self.health.set_service_status(service, status).await;
        }
        self.closing.cancel();
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
    pub async fn start(config: Config, clock: Clock, random: Random) -> Result<Self, Error> {
        let tasks = Tasks::new();
        let contract = Arc::new(Contract::load()?);
        let policy = policy::Live::new(Policy::load(&config.policy.file, &contract)?);
        let tls = config
            .server
            .tls
            .as_ref()
            .map(listen::acceptor)
            .transpose()?;
        let upstreams = upstreams::connect(&config, &clock, &random)
            .await
            .map_err(Error::Upstreams)?;
        let authenticator = authenticator(&config, &clock, &tasks).await?;
        let trail = Trail::open(&config.audit.store, clock.clone(), random.clone())?;
        let metrics = Metrics::new();

        let gateway = Arc::new(Gateway::new(
            contract.clone(),
            policy,
            upstreams,
            Limits {
                request_timeout: config.server.request_timeout,
                reserve: config.server.conclude_reserve,
            },
        ));
        let ledger = Ledger {
            trail: trail.clone(),
            clock,
            random,
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let calls = calls::Calls::new(calls::Settings {
            contract,
            authenticator,
            ledger,
            max_in_flight: config.server.max_in_flight,
        });

        let grpc = bind("server.grpc", config.server.grpc).await?;
        let http = bind("server.http", config.server.http).await?;
        let addresses = (address(&grpc)?, address(&http)?);
        let (routes, ending) = routes(&gateway, config.server.max_message_bytes).await;

        let closing = ending.closing.clone();
        let most = config.server.max_connections;
        let connections = listen::connections(grpc, tls, most, closing.clone(), &tasks);
        let serving = server::Server::builder()
            .max_concurrent_streams(config.server.max_concurrent_streams)
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .http2_max_header_list_size(32 * 1024)
            .http2_max_pending_accept_reset_streams(Some(64))
            .layer(calls)
            .add_routes(routes)
            .serve_with_incoming_shutdown(connections, async move { closing.cancelled().await });
        let closed = ending.closed.clone();
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the server failed"
                );
            }
            closed.cancel();
        });
        let plain = plain::router(metrics, ending.readiness.clone());
        tasks.spawn_background(async move {
            if let Err(error) = axum::serve(http, plain).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the HTTP port failed"
                );
            }
        });
        let (failed, watch) = (trail.failed(), ending.clone());
        tasks.spawn_background(async move {
            failed.cancelled().await;
            watch.begin("the audit trail can't be written").await;
        });
        Ok(Self {
            grpc: addresses.0,
            http: addresses.1,
            ending,
            grace: config.server.shutdown_grace,
            tasks,
            trail,
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
        Ok(self.trail.close().await?)
    }
}

/// Checks what a configuration names, as [`Server::start`] would use it: every
/// fault.
pub async fn check(
    config: &Config,
    contract: &Contract,
    clock: &Clock,
    random: &Random,
) -> Vec<Error> {
    let tasks = Tasks::new();
    let policy = Policy::load(&config.policy.file, contract);
    let tls = config.server.tls.as_ref().map(listen::acceptor);
    let mut faults: Vec<_> = [
        policy.err().map(Error::from),
        tls.and_then(Result::err).map(Error::from),
        authenticator(config, clock, &tasks).await.err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let upstreams = upstreams::connect(config, clock, random).await;
    faults.extend(upstreams.err().map(Error::Upstreams));
    tasks.stop();
    faults
}

async fn authenticator(
    config: &Config,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Authenticator, Error> {
    let issuers = config.auth.issuers.clone();
    let authenticator = Authenticator::start(issuers, clock.clone(), tasks, None);
    authenticator.await.map_err(Error::Auth)
}

/// All services: the contract's, health and reflection.
async fn routes(gateway: &Arc<Gateway>, limit: usize) -> (Routes, Ending) {
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
        closing: CancellationToken::new(),
        closed: CancellationToken::new(),
    };
    (routes.routes(), ending)
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|fault| Error::Listen {
        setting,
        address,
        fault,
    })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|fault| Error::Listen {
        setting: "server",
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        fault,
    })
}
