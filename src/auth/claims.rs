//! What a verified payload has to say, and the [`Caller`] that it makes.
//!
//! Times: `exp` is kept to the second. `nbf` and `iat` may be ahead by the
//! issuer's leeway, as its clock may be ahead of ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Caller, Error, Issuer, Reason,
    strict_json::{Json, Object},
};

/// The last second of the year 9999. What is later was not meant: milliseconds
/// in place of seconds, as a rule, and a token that would never end.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// The issuer, whose keys are then to be used: the one claim that is read
/// before the signature is verified.
pub(super) fn issuer<'a>(payload: &'a Object<'_>) -> Result<&'a str, Reason> {
    text(payload, "iss")
}

/// Checks the claims of a payload whose signature has been verified.
pub(super) fn check(
    payload: &Object<'_>,
    settings: &Issuer,
    now: SystemTime,
) -> Result<Caller, Error> {
    let issuer = text(payload, "iss")?;
    if issuer != settings.issuer {
        return Err(Reason::Issuer.into());
    }
    let audiences = match payload.get("aud") {
        Some(Json::String(one)) => vec![&**one],
        Some(Json::Array(many)) if !many.is_empty() => many
            .iter()
            .map(|it| it.as_str().ok_or(Reason::Claim("aud")))
            .collect::<Result<_, _>>()?,
        _ => return Err(Reason::Claim("aud").into()),
    };
    if !settings
        .audiences
        .iter()
        .any(|it| audiences.contains(&it.as_str()))
    {
        return Err(Reason::Audience.into());
    }
    let subject = text(payload, "sub")?;
    let ends_at = time(payload, "exp")?.ok_or(Reason::Claim("exp"))?;
    let not_before = time(payload, "nbf")?;
    let issued_at = time(payload, "iat")?;
    let expires_at = match settings.max_token_age {
        None => ends_at,
        Some(age) => {
            let issued_at = issued_at.ok_or(Reason::Claim("iat"))?;
            issued_at.checked_add(age).unwrap_or(ends_at).min(ends_at)
        }
    };
    let token_id = match payload.get("jti") {
        None => None,
        Some(Json::String(id)) => Some(id.clone().into_owned()),
        Some(_) => return Err(Reason::Claim("jti").into()),
    };
    let claims = roles(payload, &settings.roles_claim)?;

    if now >= expires_at {
        return Err(Error::Expired);
    }
    let latest = now.checked_add(settings.clock_leeway).unwrap_or(now);
    if not_before.is_some_and(|it| it > latest || it > ends_at) {
        return Err(Reason::NotYetValid.into());
    }
    if issued_at.is_some_and(|it| it > latest || it > ends_at) {
        return Err(Reason::IssuedAt.into());
    }
    Ok(Caller {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        claims,
        token_id,
        expires_at,
        certificate_names: std::sync::Arc::default(),
    })
}

fn text<'a>(payload: &'a Object<'_>, name: &'static str) -> Result<&'a str, Reason> {
    match payload.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Reason::Claim(name)),
    }
}

/// A `NumericDate`: seconds since the epoch, possibly with a fraction.
fn time(payload: &Object<'_>, name: &'static str) -> Result<Option<SystemTime>, Reason> {
    let Some(value) = payload.get(name) else {
        return Ok(None);
    };
    let Json::Number(number) = value else {
        return Err(Reason::Claim(name));
    };
    let seconds = match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) => Some(Duration::from_secs(whole)),
        (None, Some(fraction)) => Duration::try_from_secs_f64(fraction).ok(),
        (None, None) => None,
    };
    seconds
        .filter(|it| *it <= END_OF_TIME)
        .and_then(|it| UNIX_EPOCH.checked_add(it))
        .map(Some)
        .ok_or(Reason::Claim(name))
}

/// The values of the roles claim: a list of strings, or one string with spaces
/// between them, as `scope` is written (RFC 8693).
fn roles(payload: &Object<'_>, path: &str) -> Result<Vec<String>, Reason> {
    match find(payload, path) {
        None => Ok(Vec::new()),
        Some(Json::String(list)) => Ok(list.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Json::Array(list)) => list
            .iter()
            .map(|it| it.as_str().map(str::to_owned).ok_or(Reason::Roles))
            .collect(),
        Some(_) => Err(Reason::Roles),
    }
}

/// A member by its path. Names may have dots of their own, as those that are
/// URLs do (`https://example.com/roles`): the longest name that fits goes first.
fn find<'a, 'p>(members: &'a Object<'p>, path: &str) -> Option<&'a Json<'p>> {
    members.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let inner = members.get(&path[..dot])?.as_object()?;
            find(inner, &path[dot + 1..])
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_found_by_name_and_by_path() {
        let payload = json!({
            "roles": ["a", "b"],
            "scope": "read  write",
            "https://example.com/roles": ["c"],
            "realm_access": {"roles": ["d"]},
            "resource_access": {"key.gate": {"roles": ["e"]}},
            "empty": [],
            "number": 1,
            "mixed": ["a", 1],
            "nothing": null,
        });
        let payload = payload.to_string();
        let payload = &crate::auth::strict_json::object(payload.as_bytes()).unwrap();
        let good = |path: &str| roles(payload, path).unwrap();
        assert_eq!(good("roles"), ["a", "b"]);
        assert_eq!(good("scope"), ["read", "write"]);
        assert_eq!(good("https://example.com/roles"), ["c"]);
        assert_eq!(good("realm_access.roles"), ["d"]);
        assert_eq!(good("resource_access.key.gate.roles"), ["e"]);
        for absent in ["empty", "absent", "realm_access.absent", "roles.a"] {
            assert!(good(absent).is_empty(), "{absent}");
        }
        for wrong in ["number", "mixed", "nothing", "realm_access"] {
            assert_eq!(roles(payload, wrong), Err(Reason::Roles), "{wrong}");
        }
    }
}
