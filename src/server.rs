//! The server: the only place where layers are put together.
//!
//! [`Server::start`] opens the trail, loads what the configuration names, and
//! serves; a fault stops it before the first call is taken. [`Server::shutdown`]
//! lets running calls finish. A trail that can't be written ends the server.

pub mod calls;
pub mod listen;
mod plain;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::HeaderName;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes, transport::server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    audit::{self, Trail},
    auth::{self, Authenticator},
    call::Ledger,
    clock::Clock,
    config::{self, Config},
    contract::{
        self, Contract, DESCRIPTOR_SET,
        proto::keygate::{
            access::v1::access_service_server::AccessServiceServer,
            datadog::v2::{
                api_key_service_server::ApiKeyServiceServer,
                application_key_service_server::ApplicationKeyServiceServer,
                current_user_application_key_service_server::CurrentUserApplicationKeyServiceServer,
                personal_access_token_service_server::PersonalAccessTokenServiceServer,
            },
        },
    },
    datadog::site,
    gateway::{Gateway, Limits},
    http,
    policy::{self, Policy},
    random::Random,
    tasks::Tasks,
    telemetry::Metrics,
    upstream::{self, client::Registry, credentials},
};

/// Why a server can't start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The contract is not classified.
    #[error("the contract can't be served")]
    Contract(#[from] contract::Error),
    /// The policy can't be read.
    #[error("{}: the policy can't be read", .0.display())]
    PolicyFile(std::path::PathBuf, #[source] std::io::Error),
    /// The policy has faults.
    #[error("{}:\n{faults}", path.display())]
    Policy {
        /// The file.
        path: std::path::PathBuf,
        /// All that is wrong with it.
        faults: policy::Faults,
    },
    /// Issuers' keys can't be loaded.
    #[error("{}", lines(.0))]
    Auth(Vec<auth::Fault>),
    /// The trail can't be used.
    #[error("the audit trail can't be used: {0}")]
    Audit(#[from] audit::Error),
    /// A credential can't be loaded.
    #[error("{upstream}: {setting}: {fault}")]
    Credential {
        /// The upstream.
        upstream: String,
        /// The setting that names it.
        setting: &'static str,
        /// What is wrong.
        fault: credentials::Error,
    },
    /// An HTTP client can't be made.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// TLS can't be set up.
    #[error("server.tls: {0}")]
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

fn lines(faults: &[auth::Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
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
        let policy = policy::Live::new(load_policy(&config.policy.file, &contract)?);
        let tls = config
            .server
            .tls
            .as_ref()
            .map(listen::acceptor)
            .transpose()?;
        let upstreams = upstreams(&config, &clock, &random).await?;
        let authenticator = authenticator(&config, &clock, &tasks)?;
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
    let tls = config.server.tls.as_ref().map(listen::acceptor);
    let mut faults: Vec<_> = [
        load_policy(&config.policy.file, contract).err(),
        tls.and_then(Result::err).map(Error::from),
        authenticator(config, clock, &tasks).err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for org in &config.datadog {
        let fault = datadog(org, clock, random).await.err();
        // the first of two credentials hides the second
        if let Some(Error::Credential {
            setting: API_KEY, ..
        }) = &fault
        {
            faults.extend(load(org, APP_KEY, &org.app_key).await.err());
        }
        faults.extend(fault);
    }
    tasks.stop();
    faults
}

/// Reads a policy.
///
/// # Errors
/// [`Error::PolicyFile`] and [`Error::Policy`].
pub fn load_policy(file: &Path, contract: &Contract) -> Result<Policy, Error> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::PolicyFile(file.to_owned(), e))?;
    Policy::parse(&text, contract).map_err(|faults| Error::Policy {
        path: file.to_owned(),
        faults,
    })
}

fn authenticator(config: &Config, clock: &Clock, tasks: &Tasks) -> Result<Authenticator, Error> {
    let client = http::client(&http::Options {
        connect_timeout: Duration::from_secs(5),
        pool_max_idle_per_host: 1,
        ca: None,
    })?;
    let issuers = config.auth.issuers.clone();
    Authenticator::start(issuers, &client, clock.clone(), tasks).map_err(Error::Auth)
}

async fn upstreams(config: &Config, clock: &Clock, random: &Random) -> Result<Registry, Error> {
    let mut registry = Registry::default();
    for org in &config.datadog {
        registry.add(datadog(org, clock, random).await?, org.default);
    }
    Ok(registry)
}

/// The settings of an organization's credentials.
const API_KEY: &str = "api_key";
const APP_KEY: &str = "app_key";

async fn load(
    org: &config::datadog::Org,
    setting: &'static str,
    source: &credentials::Source,
) -> Result<SecretString, Error> {
    source.load().await.map_err(|fault| Error::Credential {
        upstream: org.name(),
        setting,
        fault,
    })
}

async fn datadog(
    org: &config::datadog::Org,
    clock: &Clock,
    random: &Random,
) -> Result<upstream::Client, Error> {
    let credentials = vec![
        (
            HeaderName::from_static("dd-api-key"),
            load(org, API_KEY, &org.api_key).await?,
        ),
        (
            HeaderName::from_static("dd-application-key"),
            load(org, APP_KEY, &org.app_key).await?,
        ),
    ];
    let client = http::client(&http::Options {
        connect_timeout: org.connect_timeout,
        pool_max_idle_per_host: org.max_concurrency,
        ca: org.ca.clone(),
    })?;
    let known = ::http::Uri::from_static(site::base_url(org.site).unwrap_or_default());
    let settings = upstream::Settings {
        name: org.name(),
        base_url: org.base_url.clone().unwrap_or(known),
        timeout: org.timeout,
        max_concurrency: org.max_concurrency,
        max_response_bytes: org.max_response_bytes,
    };
    Ok(upstream::Client::new(
        settings,
        client,
        credentials,
        clock.clone(),
        random.clone(),
    ))
}

/// All services: the contract's, health and reflection.
async fn routes(gateway: &Arc<Gateway>, limit: usize) -> (Routes, Ending) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut services = vec![""];
    let mut routes = Routes::builder();
    macro_rules! serve {
        ($($service:ident),* $(,)?) => {$(
            services.push(<$service<Gateway> as NamedService>::NAME);
            routes.add_service(
                $service::from_arc(gateway.clone()).max_decoding_message_size(limit),
            );
        )*};
    }
    serve!(
        AccessServiceServer,
        ApiKeyServiceServer,
        ApplicationKeyServiceServer,
        CurrentUserApplicationKeyServiceServer,
        PersonalAccessTokenServiceServer,
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
