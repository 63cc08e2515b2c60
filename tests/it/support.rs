//! What the tests share.

pub(crate) mod clock;
#[cfg(target_os = "linux")]
pub(crate) mod disk;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod own_keys;
pub(crate) mod packages;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod serve;
pub(crate) mod served;
pub(crate) mod tls;
pub(crate) mod trail;
pub(crate) mod upstreams;
pub(crate) mod vendors;
