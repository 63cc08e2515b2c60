//! What holds of every policy: a grant never takes access away, a deny always
//! does, narrowing a role never widens it, an explanation is the decision.

use proptest::{prelude::*, sample};

use super::{
    random::{Call, DenyText, GrantText, RoleText, Text, call, deny, grant, text},
    *,
};

/// Every answer that the policy gives about a call: true is access.
pub(super) fn answers(policy: &Policy, call: &Call) -> [bool; 6] {
    let upstream = call.upstream.as_deref();
    let permit = policy.authorize(&call.caller, operation(call.method), upstream);
    let reaches = upstream.is_some_and(|it| policy.reaches(&call.caller, it));
    let Ok(permit) = permit else {
        return [false, reaches, false, false, false, false];
    };
    [
        true,
        reaches,
        permit.reaches(&call.key()),
        permit.check(&call.creation()).is_ok(),
        permit.check(&call.change()).is_ok(),
        permit.reveals(&call.key()),
    ]
}

fn within(less: [bool; 6], more: [bool; 6]) -> bool {
    less.into_iter().zip(more).all(|(less, more)| !less || more)
}

fn explained(policy: &Policy, call: &Call, touch: Option<Touch<'_>>) -> Explanation {
    policy.explain(&Question {
        caller: &call.caller,
        operation: operation(call.method),
        upstreams: call.upstream.as_slice(),
        touch,
    })
}

/// The same role with one thing less.
fn narrowed(role: &RoleText, way: usize) -> RoleText {
    let mut it = role.clone();
    match way {
        0 if it.permissions.len() > 1 => it.permissions.truncate(1),
        0 => it.permissions = vec!["api_keys_read".to_owned()],
        1 => match &mut it.upstreams {
            Some(list) if list.len() > 1 => list.truncate(1),
            None => it.upstreams = Some(vec!["datadog/us1".to_owned()]),
            Some(_) => {}
        },
        2 => match &mut it.names {
            Some(list) if list.len() > 1 => list.truncate(1),
            None => it.names = Some(vec!["a-*".to_owned()]),
            Some(_) => {}
        },
        3 => it.any = false,
        4 => it.reveal = false,
        5 => drop(it.max_scopes.pop()),
        _ => it.allow_unscoped = false,
    }
    // One permission in place of another is not less.
    if way == 0 && role.permissions.len() == 1 && role.permissions[0] != "*" {
        it.permissions.clone_from(&role.permissions);
    }
    it
}

/// Whether an entry of `[deny]` is meant for a call, by its own words.
fn is_meant((list, pattern): &DenyText, call: &Call) -> bool {
    let fits = |text: &str| matches(pattern, text);
    let (package, rpc) = call.method.rsplit_once('.').unwrap();
    let goes_to_datadog = package.starts_with("keygate.datadog");
    match *list {
        "subjects" => fits(&call.caller.subject),
        "token_ids" => call.caller.token_id.as_deref().is_some_and(fits),
        "issuers" => fits(&call.caller.issuer),
        "rpcs" => fits(call.method) || fits(rpc),
        "upstreams" => match (&call.upstream, goes_to_datadog) {
            (_, false) => false,
            (None, true) => ["*", "datadog/*"].contains(&pattern.as_str()),
            (Some(name), true) => {
                name.starts_with("datadog/") && {
                    let mut parts = pattern.split('/').zip(name.split('/'));
                    parts.all(|(part, name)| matches(part, name))
                }
            }
        },
        _ => panic!("{list}"),
    }
}

/// The policy with this rule alone, which was the reason for something.
fn alone(text: &Text, rule: &str) -> Text {
    let (grants, deny): (Vec<GrantText>, Vec<DenyText>) = match rule.strip_prefix("grants[") {
        Some(rest) => {
            let at: usize = rest.split(']').next().unwrap().parse().unwrap();
            let grant = text.grants[at].clone();
            assert_eq!(rule, format!("grants[{at}] roles.r{}", grant.role));
            (vec![grant], Vec::new())
        }
        None => {
            let (list, at) = rule.strip_prefix("deny.").unwrap().split_once('[').unwrap();
            let at: usize = at.trim_end_matches(']').parse().unwrap();
            let mut of_list = text.deny.iter().filter(|it| it.0 == list);
            let entry = of_list.nth(at).unwrap().clone();
            (text.grants.clone(), vec![entry])
        }
    };
    Text {
        roles: text.roles.clone(),
        grants,
        deny,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_grant_never_takes_access_away(
        text in text(), more in grant(), at: sample::Index, call in call(),
    ) {
        let before = answers(&text.policy(), &call);
        let mut grown = text;
        grown.grants.insert(at.index(grown.grants.len() + 1), more);
        prop_assert!(within(before, answers(&grown.policy(), &call)));
    }

    #[test]
    fn narrowing_never_widens(
        text in text(), at in 0..3_usize, way in 0..7_usize, call in call(),
    ) {
        let before = answers(&text.policy(), &call);
        let mut less = text;
        less.roles[at] = narrowed(&less.roles[at], way);
        prop_assert!(within(answers(&less.policy(), &call), before));
    }

    #[test]
    fn narrowing_a_grant_never_widens(
        text in text(), at: sample::Index, other in grant(), call in call(),
    ) {
        prop_assume!(!text.grants.is_empty());
        let before = answers(&text.policy(), &call);
        let at = at.index(text.grants.len());
        let mut less = text.clone();
        less.grants[at].issuer.get_or_insert_with(|| "https://b".to_owned());
        prop_assert!(within(answers(&less.policy(), &call), before));
        let mut less = text;
        let certificate = &mut less.grants[at].certificate;
        *certificate = certificate.take().or(other.certificate);
        prop_assert!(within(answers(&less.policy(), &call), before));
    }

    #[test]
    fn a_certificate_never_takes_access_away(text in text(), call in call(), other in call()) {
        let policy = text.policy();
        let mut more = call.clone();
        let names = [&call, &other].map(|it| it.caller.certificate_names.to_vec()).concat();
        more.caller.certificate_names = names.into();
        prop_assert!(within(answers(&policy, &call), answers(&policy, &more)));
    }

    #[test]
    fn a_deny_always_denies_and_nothing_else(text in text(), more in deny(), call in call()) {
        let mut denying = text.clone();
        denying.deny.push(more.clone());
        let (before, policy) = (answers(&text.policy(), &call), denying.policy());
        let after = answers(&policy, &call);
        prop_assert!(within(after, before));
        if is_meant(&more, &call) {
            prop_assert!(!after[0]);
            let said = explained(&policy, &call, None);
            let is_elsewhere = call.upstream.as_ref().is_some_and(|it| !it.starts_with("datadog/"));
            // who may not do it anywhere is not told more
            let is_nowhere = explained(&policy, &Call { upstream: None, ..call.clone() }, None);
            prop_assert!(said.rule.starts_with("deny.") || is_elsewhere || !is_nowhere.permitted);
        } else {
            // that the upstream is reached for some other method may have changed
            prop_assert_eq!((after[0], &after[2..]), (before[0], &before[2..]));
        }
    }

    #[test]
    fn an_explanation_is_the_decision(text in text(), call in call()) {
        let policy = text.policy();
        let [permitted, _, touches, creates, changes, _] = answers(&policy, &call);
        let said = explained(&policy, &call, None);
        prop_assert_eq!(said.permitted, permitted);
        prop_assert_eq!(said.permitted && said.permission.is_some(), permitted && call.method != WHO_AM_I);
        for (touch, decided) in [
            (Touch::of(call.key()), touches),
            (call.creation(), creates),
            (call.change(), changes),
        ] {
            prop_assert_eq!(explained(&policy, &call, Some(touch)).permitted, decided);
        }
        let authorize = |upstream| policy.authorize(&call.caller, operation(call.method), upstream);
        match authorize(None).and_then(|_| authorize(call.upstream.as_deref())) {
            Ok(permit) => prop_assert_eq!(said.rule, permit.rule()),
            Err(denial) => {
                prop_assert_eq!((said.rule, said.missing), (denial.rule, denial.missing));
            }
        }
    }

    #[test]
    fn the_rule_that_is_named_decides_alone(text in text(), call in call()) {
        let policy = text.policy();
        let touches = [None, Some(Touch::of(call.key())), Some(call.creation()), Some(call.change())];
        for touch in touches {
            let said = explained(&policy, &call, touch);
            if said.rule.starts_with("grants[") || said.rule.starts_with("deny.") {
                let again = explained(&alone(&text, &said.rule).policy(), &call, touch);
                prop_assert_eq!(again.permitted, said.permitted);
            } else {
                prop_assert!(!said.permitted || said.rule == "any caller");
            }
        }
    }

    #[test]
    fn what_its_owner_denies_is_denied_in_the_same_words(text in text(), call in call()) {
        let policy = text.policy();
        let upstream = call.upstream.as_deref();
        let permit = policy.authorize(&call.caller, operation(call.method), upstream);
        if let Ok(Err(denial)) = permit.as_ref().map(|it| it.check_owner(call.own)) {
            for touch in [Touch::of(call.key()), call.change()] {
                prop_assert_eq!(permit.as_ref().map(|it| it.check(&touch)), Ok(Err(denial.clone())));
            }
        }
    }

    #[test]
    fn what_need_not_be_known_does_not_matter(
        text in text(), call in call(), name in "[abc]-[xy]",
        scopes in prop::option::of(prop::collection::vec("(metrics|logs)_read", 0..3)),
    ) {
        let policy = text.policy();
        let upstream = call.upstream.as_deref();
        // Where there is no permit, there is nothing more to be asked.
        let Ok(permit) = policy.authorize(&call.caller, operation(call.method), upstream) else {
            return Ok(());
        };
        let mut other = call.clone();
        if !permit.needs_owner() {
            other.own = !call.own;
            prop_assert_eq!(answers(&policy, &call), answers(&policy, &other));
        }
        if !permit.needs_name() {
            other.name = Some(name);
            prop_assert_eq!(answers(&policy, &call), answers(&policy, &other));
        }
        if !permit.needs_scopes() {
            other.scopes = scopes;
            prop_assert_eq!(answers(&policy, &call), answers(&policy, &other));
        }
    }
}
