//! keygate: a gRPC gateway in front of key-management REST APIs.

pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
pub mod http;
pub mod policy;
pub mod random;
pub mod sandbox;
pub mod tasks;
pub mod upstream;
