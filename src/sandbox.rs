//! The vendors on loopback: stateful simulators over real HTTP and a token
//! issuer, for newcomers, for teams without an account and for keygate's tests.
//!
//! A simulator keeps to what its vendor's API is known to do, quirks included,
//! and knows nothing of keygate. Whoever reaches its port sees every secret it
//! holds (`GET /__state`): the secrets are worth nothing anywhere else, and the
//! port belongs on loopback.

pub mod braintrust;
pub mod coveo;
pub mod datadog;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod issuer;
pub mod rate;
