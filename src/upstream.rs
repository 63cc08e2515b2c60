//! What every upstream needs, whoever its vendor is.

pub mod credentials;
