//! keygate: a gRPC gateway in front of key-management REST APIs.

pub mod clock;
pub mod contract;
pub mod http;
pub mod random;
pub mod sandbox;
pub mod tasks;
