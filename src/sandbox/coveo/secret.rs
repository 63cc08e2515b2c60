//! Ids and secrets, in the shapes that the vendor's documents show.

use secrecy::{ExposeSecret as _, SecretString};

use crate::random::Random;

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// An access token.
pub(super) fn token(random: &Random) -> SecretString {
    format!("x{}", random.uuid()).into()
}

/// The value of an API key: `xx65151ec3-7b30-4772-a99a-09b4c0f71343`.
pub(super) fn api_key(random: &Random) -> SecretString {
    format!("xx{}", random.uuid()).into()
}

/// A value as answers mask it: `xx*****1343`.
pub(super) fn masked(value: &SecretString) -> String {
    let value = value.expose_secret();
    let last4 = value.len().checked_sub(4).and_then(|at| value.get(at..));
    format!("xx*****{}", last4.unwrap_or_default())
}

/// The id of an API key: `wduuqg3ip2c3i3gpopapxhcgxe`.
pub(super) fn api_key_id(random: &Random) -> String {
    base32(random, 26)
}

/// The id of an organization: `sandboxuswduuqg`.
pub(super) fn organization_id(region: &str, random: &Random) -> String {
    format!("sandbox{region}{}", base32(random, 6))
}

fn base32(random: &Random, length: usize) -> String {
    let digit = |_| {
        let [byte] = random.bytes();
        char::from(BASE32[usize::from(byte % 32)])
    };
    (0..length).map(digit).collect()
}
