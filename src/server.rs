//! The server: the only place where layers are put together.
//!
//! [`Server::start`] opens the trail, loads what the configuration names, and
//! serves; a fault stops it before the first call is taken. It follows what becomes
//! of its files. [`Server::shutdown`] lets running calls finish. A trail that can't
//! be written ends the server.

pub mod calls;
mod ending;
mod error;
pub mod listen;
mod plain;
mod reload;
mod retention;
mod routes;
pub mod state;
pub mod tls;
pub mod upstreams;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::server;

use crate::{
    audit::{self, Trail},
    call::Ledger,
    checkpoints::Publisher,
    clock::Clock,
    config::Config,
    contract::Contract,
    gateway::{Gateway, Reconciler},
    live::Live,
    random::Random,
    tasks::Tasks,
    telemetry::{Logs, Metrics},
};
use ending::Ending;
pub use ending::Readiness;
pub use error::Error;
use reload::{Files, Reloader, Running};
use state::Loader;

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
        let (routes, ending) =
            routes::routes(&gateway, config.server.max_message_bytes, closing).await;

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
