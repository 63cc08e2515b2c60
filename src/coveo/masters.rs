//! How keygate finds its own API key, if its token is one.
//!
//! Source: the vendor's TypeScript client, `@coveo/platform-client`.

use http::Method;
use serde::Deserialize;

use super::operation::{KEYS, request};
use crate::upstream::masters::{Look, Mask, Miss, Seek};

/// How it is found.
pub const SEEK: Seek = Seek(|look| Box::pin(find(look)));

#[derive(Deserialize)]
struct Key {
    id: String,
    value: Option<String>,
}

/// The list is whole, and masks values. A token that fits none of them is no API
/// key, and no operation reaches it.
async fn find(look: &Look<'_>) -> Result<Vec<String>, Miss> {
    let [token] = look.credentials()?;
    let path = request(Method::GET, KEYS, look.place(), "").path;
    let keys: Vec<Key> = match look.get(path, KEYS).await {
        Err(Miss::Refused(status)) => {
            return Err(Miss::Hidden {
                what: "the token",
                refused: Some(status),
                advice: "if it is right, give it the privilege to view API keys",
            });
        }
        keys => keys?,
    };
    let mut ids = Vec::new();
    for it in keys {
        let shown = it.value.as_deref().and_then(Mask::read);
        let mask = shown.ok_or(Miss::Malformed("a key shows too little of its value"))?;
        if mask.fits(token) {
            ids.push(it.id);
        }
    }
    Ok(ids)
}
