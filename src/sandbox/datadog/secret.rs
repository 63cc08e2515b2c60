//! The values of keys and tokens, in the vendor's formats.

use secrecy::{ExposeSecret as _, SecretString};

use super::org::TokenKind;
use crate::random::Random;

/// An API key: 32 hex digits.
pub(super) fn api_key(random: &Random) -> SecretString {
    format!("{:032x}", u128::from_be_bytes(random.bytes())).into()
}

/// An application key: 40 hex digits.
pub(super) fn application_key(random: &Random) -> SecretString {
    let (high, low) = (random.bytes(), random.bytes());
    format!(
        "{:032x}{:08x}",
        u128::from_be_bytes(high),
        u32::from_be_bytes(low)
    )
    .into()
}

/// An access token's public portion (22 characters) and the token, which
/// contains it: `ddpat_<public portion>_<36 characters>`, with `ddsat` for a
/// service account's.
pub(super) fn access_token(kind: TokenKind, random: &Random) -> (String, SecretString) {
    let prefix = match kind {
        TokenKind::Personal => "ddpat",
        TokenKind::Service => "ddsat",
    };
    let public = random.base62(22);
    let token = format!("{prefix}_{public}_{}", random.base62(36));
    (public, token.into())
}

/// The last four characters.
pub(super) fn last4(value: &SecretString) -> &str {
    let value = value.expose_secret();
    value.get(value.len().saturating_sub(4)..).unwrap_or(value)
}
