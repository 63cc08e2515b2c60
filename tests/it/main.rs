//! The integration tests: the real server over real connections.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too, and says what it skips"
)]

mod audit_service;
mod braintrust;
mod canaries;
mod cassettes;
mod commands;
mod configuration;
mod coveo;
#[cfg(target_os = "linux")]
mod crash;
mod credentials;
mod datadog_v1;
mod error_table;
mod evidence;
mod generated_client;
mod image;
mod investigation;
mod load;
mod main_job;
mod matrix;
mod one_time_read;
mod own_keys;
mod paths;
mod policy;
mod postgres;
mod presence;
mod readme;
mod reconcile;
mod reload;
mod retries;
mod sandbox;
mod sandbox_braintrust;
mod sandbox_coveo;
mod sandbox_datadog;
mod sandbox_faults;
mod sandbox_issuer;
mod service_accounts;
mod serving;
mod sites;
mod streams;
mod support;
mod tokens;
mod transport_identity;
mod upstreams;
