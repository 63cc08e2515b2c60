//! keygate: a gRPC gateway in front of key-management REST APIs.
//!
//! One request's way through the crate:
//!
//! | step | module |
//! |---|---|
//! | a connection is accepted, TLS is spoken | [`server::listen`] |
//! | the call begins: id, load, its terminal record | [`server::calls`], [`call`] |
//! | the bearer token becomes a caller | [`auth`] |
//! | the generated trait hands the typed request on | [`datadog`], [`braintrust`], [`coveo`], [`access`], [`evidence`] |
//! | authorize, intend, call, conclude | [`gateway`] |
//! | … does the policy permit it? | [`policy`] |
//! | … what is sent, what does the answer mean? | [`datadog`], [`braintrust`], [`coveo`] by [`gateway::operation`] |
//! | … the REST call itself | [`upstream`] |
//! | … the durable record | [`audit`], and out of reach: [`checkpoints`] |
//! | every error becomes a status in one place | [`status`] |
//! | what became of a change whose answer was lost | [`gateway::reconcile`] |
//!
//! Beside the way: [`contract`] (generated code and the table of operations),
//! [`config`], [`settings`] (how its file and the policy's are read), [`live`]
//! (what can change meanwhile), [`cli`], [`telemetry`], [`sandbox`], and the only
//! places that time, randomness, tasks, HTTP clients, settings' files and
//! certificates come from: [`clock`], [`random`], [`tasks`], [`http`], [`files`],
//! [`pem`].

pub mod access;
pub mod audit;
pub mod auth;
pub mod braintrust;
pub mod call;
pub mod checkpoints;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
pub mod coveo;
pub mod datadog;
pub mod evidence;
pub mod files;
pub mod gateway;
mod glob;
pub mod http;
pub mod json;
pub mod live;
pub mod pem;
pub mod policy;
pub mod random;
pub mod sandbox;
pub mod server;
pub mod settings;
pub mod status;
pub mod tasks;
pub mod telemetry;
pub mod upstream;
