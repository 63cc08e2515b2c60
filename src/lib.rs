//! keygate: a gRPC gateway in front of key-management REST APIs.

pub mod auth;
pub mod clock;
pub mod contract;
pub mod http;
pub mod policy;
pub mod random;
pub mod tasks;
