//! Coveo's API keys: regions, resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.

pub mod region;
