//! The compact form of a JWS (RFC 7515): three parts and a header.
//!
//! It is taken apart here, and verified by [`super::keys`]. Of the header, only
//! `alg`, `kid`, `typ` and `crit` have a meaning.

use super::{
    Algorithm, Reason, TokenType,
    strict_json::{self, Json, Object},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A token taken apart, not verified.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What the header asks for: never `none`.
    pub(super) algorithm: Algorithm,
    /// The key that the header names.
    pub(super) kid: Option<String>,
    /// The purpose that the header names.
    pub(super) typ: Option<TokenType>,
    /// The payload, decoded.
    pub(super) payload: Vec<u8>,
    /// What was signed: header and payload as they came.
    pub(super) signed: &'a str,
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Reason> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if payload.contains('.') {
            return Err(Reason::Malformed);
        }
        let header = decode(header)?;
        let header = strict_json::object(&header)?;
        if header.has("crit") {
            return Err(Reason::Critical);
        }
        let algorithm = match header.get("alg") {
            Some(Json::String(name)) => Algorithm::named(name).ok_or(Reason::Algorithm)?,
            _ => return Err(Reason::Algorithm),
        };
        Ok(Self {
            algorithm,
            kid: text(&header, "kid")?.map(str::to_owned),
            typ: text(&header, "typ")?.map(TokenType::new),
            payload: decode(payload)?,
            signed,
            signature: decode(signature)?,
        })
    }
}

fn text<'h>(header: &'h Object<'_>, name: &'static str) -> Result<Option<&'h str>, Reason> {
    match header.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Reason::Header(name)),
    }
}

/// Unpadded base64url, and only the one spelling of each value.
fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Malformed)
}
