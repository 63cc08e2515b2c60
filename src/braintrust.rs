//! Braintrust's API keys and service tokens: resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.

/// The platform's base URL (Braintrust API reference), where no data plane of
/// one's own is configured.
pub const BASE_URL: &str = "https://api.braintrust.dev";
