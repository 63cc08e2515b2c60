//! What takes a restart: ports and what is set up with them, the trail, and how a
//! line of the log looks.

use crate::config::{self, Config};

/// Puts back into a configuration what can't be changed while it runs, and tells
/// which settings these are.
pub(super) fn put_back(running: &Config, wanted: &mut Config) -> Vec<&'static str> {
    let mut fixed = Fixed::default();
    // All are named, so that a new setting is not forgotten here.
    let Config {
        server,
        auth: _,
        policy: _,
        audit,
        upstreams: _,
        log,
        origin: _,
    } = wanted;
    let config::Server {
        grpc,
        http,
        tls,
        worker_threads,
        max_message_bytes,
        max_connections,
        max_concurrent_streams,
        max_in_flight: _,
        shutdown_grace,
        request_timeout: _,
        conclude_reserve: _,
    } = server;
    let config::Log { level: _, format } = log;
    let now = &running.server;
    fixed.keep("server.grpc", &now.grpc, grpc);
    fixed.keep("server.http", &now.http, http);
    // certificates change, but not whether there is TLS
    if now.tls.is_some() != tls.is_some() {
        fixed.keep("server.tls", &now.tls, tls);
    }
    fixed.keep("server.worker_threads", &now.worker_threads, worker_threads);
    let name = "server.max_message_bytes";
    fixed.keep(name, &now.max_message_bytes, max_message_bytes);
    let name = "server.max_connections";
    fixed.keep(name, &now.max_connections, max_connections);
    let name = "server.max_concurrent_streams";
    fixed.keep(name, &now.max_concurrent_streams, max_concurrent_streams);
    fixed.keep("server.shutdown_grace", &now.shutdown_grace, shutdown_grace);
    let config::Audit {
        store,
        checkpoints,
        retention: _,
    } = audit;
    fixed.keep("audit", &running.audit.store, store);
    let name = "audit.checkpoints";
    fixed.keep(name, &running.audit.checkpoints, checkpoints);
    fixed.keep("log.format", &running.log.format, format);
    fixed.0
}

/// The names of the settings that were put back.
#[derive(Default)]
struct Fixed(Vec<&'static str>);

impl Fixed {
    fn keep<T: Clone + PartialEq>(&mut self, name: &'static str, running: &T, wanted: &mut T) {
        if wanted != running {
            wanted.clone_from(running);
            self.0.push(name);
        }
    }
}
