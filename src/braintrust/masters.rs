//! How keygate finds its own service token, or API key.
//!
//! Source: Braintrust API reference, ApiKeys and ServiceTokens.

use serde::Deserialize;

use crate::{
    gateway::request::parameter,
    upstream::masters::{Look, Mask, Miss, Seek},
};

/// How it is found.
pub const SEEK: Seek = Seek(|look| Box::pin(find(look)));

const LISTS: [&str; 2] = ["/v1/service_token", "/v1/api_key"];
const SIZE: usize = 100;

#[derive(Deserialize)]
struct Page {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    id: String,
    preview_name: String,
}

/// Of a value no more is ever shown than its preview: whatever has the same one can
/// be the credential.
async fn find(look: &Look<'_>) -> Result<Vec<String>, Miss> {
    let [token] = look.credentials()?;
    let (mut ids, mut refused) = (Vec::new(), None);
    for list in LISTS {
        match among(list, look, token).await {
            Ok(found) => ids.extend(found),
            Err(Miss::Refused(status)) => refused = Some(status),
            Err(miss) => return Err(miss),
        }
    }
    if ids.is_empty() {
        return Err(Miss::Hidden {
            what: "the token",
            refused,
            advice: "it has to be a service token with owner rights, or an API key",
        });
    }
    Ok(ids)
}

async fn among(list: &'static str, look: &Look<'_>, token: &str) -> Result<Vec<String>, Miss> {
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("{list}?limit={SIZE}{after}");
        let Page { objects } = look.get(path, list).await?;
        for it in &objects {
            let mask = Mask::read(&it.preview_name);
            let mask = mask.ok_or(Miss::Malformed("a `preview_name` shows too little"))?;
            if mask.fits(token) {
                ids.push(it.id.clone());
            }
        }
        match objects.last() {
            Some(last) if objects.len() >= SIZE => {
                after = format!("&{}", parameter("starting_after", &last.id));
            }
            _ => return Ok(ids),
        }
    }
}
