//! The integration tests: the real server over real connections.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on says why and ends"
)]

mod commands;
mod configuration;
mod credentials;
