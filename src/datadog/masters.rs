//! How keygate finds its own API key and application key.
//!
//! Source: Datadog API reference, Key Management, and the validation endpoints of
//! the vendor's clients.

use serde::Deserialize;

use crate::upstream::masters::{Look, Miss, Seek};

/// How they are found.
pub const SEEK: Seek = Seek(|look| Box::pin(find(look)));

const VALIDATE: &str = "/api/v2/validate";
const SIZE: usize = 100;

#[derive(Deserialize)]
struct Document<T> {
    data: T,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    id: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    api_key_id: Option<String>,
    key: Option<String>,
    last4: Option<String>,
    public_portion: Option<String>,
}

/// A list in which a credential can be.
struct Place {
    route: &'static str,
    /// Where one of its resources shows its value, unless the organization is in
    /// One-Time Read mode.
    item: Option<&'static str>,
    /// Whether what the list shows of a resource fits a value.
    fits: fn(&Attributes, &str) -> bool,
}

const API_KEYS: &[Place] = &[Place {
    route: "/api/v2/api_keys",
    item: Some("/api/v2/api_keys/{api_key_id}"),
    fits: by_last4,
}];

/// One's own keys come first: they can be read one by one. An access token can stand
/// in an application key's place.
const APPLICATION_KEYS: &[Place] = &[
    Place {
        route: "/api/v2/current_user/application_keys",
        item: Some("/api/v2/current_user/application_keys/{app_key_id}"),
        fits: by_last4,
    },
    Place {
        route: "/api/v2/application_keys",
        item: None,
        fits: by_last4,
    },
    Place {
        route: "/api/v2/personal_access_tokens",
        item: None,
        fits: by_public_portion,
    },
];

async fn find(look: &Look<'_>) -> Result<Vec<String>, Miss> {
    let [api_key, app_key] = look.credentials()?;
    let mut ids = match look.get::<Document<Resource>>(VALIDATE, VALIDATE).await {
        Ok(Document { data }) => data.attributes.api_key_id.into_iter().collect(),
        Err(Miss::Refused(_)) => Vec::new(),
        Err(miss) => return Err(miss),
    };
    ids.retain(|it| !it.is_empty());
    if ids.is_empty() {
        let what = "the API key";
        let advice =
            "if both keys are right, give the application key the permission api_keys_read";
        ids = among(API_KEYS, look, api_key, what, advice).await?;
    }
    let what = "the application key";
    let advice = "if both keys are right, give it the permission user_app_keys, \
                  or org_app_keys_read";
    ids.extend(among(APPLICATION_KEYS, look, app_key, what, advice).await?);
    Ok(ids)
}

/// The ids of a credential, in the first of these places that has any.
async fn among(
    places: &[Place],
    look: &Look<'_>,
    value: &str,
    what: &'static str,
    advice: &'static str,
) -> Result<Vec<String>, Miss> {
    let mut refused = None;
    for place in places {
        match place.ids(look, value).await {
            Ok(ids) if !ids.is_empty() => return Ok(ids),
            Ok(_) => {}
            Err(Miss::Refused(status)) => refused = Some(status),
            Err(miss) => return Err(miss),
        }
    }
    Err(Miss::Hidden {
        what,
        refused,
        advice,
    })
}

impl Place {
    /// The ids of what can be a value. What can't be told from it counts too.
    async fn ids(&self, look: &Look<'_>, value: &str) -> Result<Vec<String>, Miss> {
        let mut ids = Vec::new();
        for page in 0.. {
            let path = format!(
                "{}?page%5Bsize%5D={SIZE}&page%5Bnumber%5D={page}",
                self.route
            );
            let Document { data } = look
                .get::<Document<Vec<Resource>>>(path, self.route)
                .await?;
            let is_last = data.len() < SIZE;
            for it in data {
                if (self.fits)(&it.attributes, value) && self.can_be(look, &it.id, value).await? {
                    ids.push(it.id);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(ids)
    }

    /// Whether a resource of an id has this value, as far as it shows one.
    async fn can_be(&self, look: &Look<'_>, id: &str, value: &str) -> Result<bool, Miss> {
        let Some(route) = self.item else {
            return Ok(true);
        };
        let path = format!("{}/{id}", self.route);
        let shown = match look.get::<Document<Resource>>(path, route).await {
            Ok(Document { data }) => data.attributes.key,
            Err(Miss::Refused(_)) => None,
            Err(miss) => return Err(miss),
        };
        Ok(shown.is_none_or(|it| it == value))
    }
}

/// One that shows nothing of its value fits any.
fn by_last4(attributes: &Attributes, value: &str) -> bool {
    let last4 = attributes.last4.as_deref().unwrap_or_default();
    value.ends_with(last4)
}

/// A token holds its public portion.
fn by_public_portion(attributes: &Attributes, value: &str) -> bool {
    let public = attributes.public_portion.as_deref();
    public.is_some_and(|it| !it.is_empty() && value.contains(it))
}
