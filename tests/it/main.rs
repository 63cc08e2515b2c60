//! The integration tests: the real server over real connections.
