//! The values of keys and tokens, in the vendor's formats.

use secrecy::{ExposeSecret as _, SecretString};

use crate::random::Random;

/// An API key: `sk-` and 48 letters and digits.
pub(super) fn api_key(random: &Random) -> SecretString {
    format!("sk-{}", random.base62(48)).into()
}

/// A service token: `bt-st-` and 48 letters and digits.
pub(super) fn service_token(random: &Random) -> SecretString {
    format!("bt-st-{}", random.base62(48)).into()
}

/// A value with all but its prefix and its last four characters blotted out.
pub(super) fn preview(value: &SecretString) -> String {
    let value = value.expose_secret();
    let prefix = value.rfind('-').map_or("", |at| &value[..=at]);
    let last4 = value.get(value.len().saturating_sub(4)..).unwrap_or(value);
    format!("{prefix}****{last4}")
}
