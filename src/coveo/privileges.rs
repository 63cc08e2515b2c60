//! What a key may do, as scopes that the policy can hold against its ceilings.
//! The form is described in the contract, at `Privilege`.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    contract::proto::keygate::coveo::v1::{ApiKey, Privilege, Privileges},
    gateway::operation::Scopes,
    status::Violation,
};

/// What would make another part, or another number of parts, of a scope.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b':').add(b'@');

/// A privilege as a scope: `OWNER:TARGET_DOMAIN:TYPE:TARGET_ID`.
#[must_use]
pub(super) fn scope(privilege: &Privilege) -> String {
    let part = |part: &Option<String>| match part.as_deref() {
        None | Some("") => "*".to_owned(),
        Some(part) => utf8_percent_encode(part, ENCODED).to_string(),
    };
    let kind = match privilege.level.as_deref() {
        None | Some("") => part(&privilege.r#type),
        Some(_) => format!("{}@{}", part(&privilege.r#type), part(&privilege.level)),
    };
    format!(
        "{}:{}:{kind}:{}",
        part(&privilege.owner),
        part(&privilege.target_domain),
        part(&privilege.target_id),
    )
}

/// The scopes of privileges that a request gives. What is wrong with them goes
/// into `violations`.
pub(super) fn given(privileges: &Privileges, violations: &mut Vec<Violation>) -> Scopes {
    let is_absent = |it: &Option<String>| it.as_deref().is_none_or(str::is_empty);
    let lacks = |it: &Privilege| is_absent(&it.owner) || is_absent(&it.target_domain);
    if privileges.values.iter().any(lacks) {
        let fault = "each needs an `owner` and a `target_domain`";
        violations.push(Violation::new("privileges", fault));
    }
    Scopes::These(privileges.values.iter().map(scope).collect())
}

/// The scopes of a key that exists. What a template allows can't be seen, nor what
/// upstream does not report or tells in a way that the contract does not know.
#[must_use]
pub(super) fn of(key: &ApiKey) -> Scopes {
    let is_bound = key
        .api_key_template_id
        .as_deref()
        .is_some_and(|it| !it.is_empty());
    let rest = key.additional_members.as_ref();
    let has_more = rest.is_some_and(|it| it.fields.contains_key("privileges"));
    match &key.privileges {
        Some(privileges) if !is_bound && !has_more => {
            Scopes::These(privileges.values.iter().map(scope).collect())
        }
        _ => Scopes::Unscoped,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn privilege(parts: [Option<&str>; 5]) -> Privilege {
        let [owner, target_domain, r#type, target_id, level] =
            parts.map(|it| it.map(str::to_owned));
        Privilege {
            owner,
            target_domain,
            target_id,
            r#type,
            level,
        }
    }

    #[test]
    fn a_scope_has_four_parts() {
        for (parts, expected) in [
            (
                [
                    Some("PLATFORM"),
                    Some("SOURCE"),
                    Some("VIEW"),
                    Some("*"),
                    None,
                ],
                "PLATFORM:SOURCE:VIEW:*",
            ),
            (
                [Some("SEARCH_API"), Some("EXECUTE_QUERY"), None, None, None],
                "SEARCH_API:EXECUTE_QUERY:*:*",
            ),
            (
                [Some("A"), Some("B"), Some(""), Some("my source"), Some("")],
                "A:B:*:my source",
            ),
            (
                [
                    Some("A"),
                    Some("B"),
                    Some("VIEW"),
                    Some("a:VIEW:b%"),
                    Some("EDIT_ALL"),
                ],
                "A:B:VIEW@EDIT_ALL:a%3AVIEW%3Ab%25",
            ),
            (
                [Some("A"), Some("B"), Some("V@W"), None, None],
                "A:B:V%40W:*",
            ),
            ([Some("A"), Some("B"), None, None, Some("X")], "A:B:*@X:*"),
        ] {
            assert_eq!(scope(&privilege(parts)), expected);
        }
    }

    proptest! {
        #[test]
        fn different_privileges_are_different_scopes(
            one in prop::array::uniform5("[A:@%]{1,3}"),
            other in prop::array::uniform5("[A:@%]{1,3}"),
        ) {
            let scoped = |parts: &[String; 5]| scope(&privilege(parts.each_ref().map(|it| Some(it.as_str()))));
            prop_assert_eq!(scoped(&one).matches(':').count(), 3);
            prop_assert_eq!(one == other, scoped(&one) == scoped(&other));
        }
    }

    #[test]
    fn what_can_t_be_seen_is_unscoped() {
        let privileges = Privileges {
            values: vec![privilege([Some("A"), Some("B"), None, None, None])],
        };
        let plain = ApiKey {
            privileges: Some(privileges),
            ..ApiKey::default()
        };
        assert_eq!(of(&plain), Scopes::These(vec!["A:B:*:*".to_owned()]));
        assert_eq!(of(&ApiKey::default()), Scopes::Unscoped);
        let bound = ApiKey {
            api_key_template_id: Some("a".to_owned()),
            ..plain.clone()
        };
        assert_eq!(of(&bound), Scopes::Unscoped);
        let mut odd = plain;
        let rest = odd.additional_members.get_or_insert_default();
        rest.fields
            .insert("privileges".to_owned(), prost_types::Value::default());
        assert_eq!(of(&odd), Scopes::Unscoped);
    }
}
