//! A second opinion on a policy: its text, read by another parser and taken by its
//! words, without any index and without any of the policy's own code.

use toml::{Table, Value};

use super::{random::Call, *};

/// What it says of a call, as [`super::properties::answers`] has it. `None` if the
/// text is no TOML.
pub(super) fn answers(text: &str, call: &Call) -> Option<[bool; 6]> {
    let file: Table = text.parse().ok()?;
    let on = |method: &Operation| permitting(&file, call, method);
    let provider = call
        .upstream
        .as_ref()
        .map(|it| it.split('/').next().unwrap());
    let of_vendor = |it: &&Operation| Some(it.provider()) == provider;
    let mut vendor = CONTRACT.operations().iter().filter(of_vendor);
    let reaches = vendor.any(|it| on(it).is_some());
    let Some(roles) = on(operation(call.method)) else {
        return Some([false, reaches, false, false, false, false]);
    };
    let any = |test: &dyn Fn(&Table) -> bool| roles.iter().any(|it| test(it));
    Some([
        true,
        reaches,
        any(&|role| touches(role, call)),
        any(&|role| names(role, call.name.as_deref()) && scopes(role, call)),
        any(&|role| {
            let new = call.new_name.as_deref();
            touches(role, call) && (new.is_none() || names(role, new)) && scopes(role, call)
        }),
        any(&|role| is_set(role, "reveal") && touches(role, call)),
    ])
}

/// The roles by which a call is permitted; `None` if it is not.
fn permitting<'f>(file: &'f Table, call: &Call, method: &Operation) -> Option<Vec<&'f Table>> {
    let caller = &call.caller;
    let (upstream, provider) = (call.upstream.as_deref(), method.provider());
    let is_vendors = ["datadog", "braintrust", "coveo"].contains(&provider);
    let short = method.method.rsplit_once('.').unwrap().1;
    let no_table = Table::new();
    let deny = file
        .get("deny")
        .and_then(Value::as_table)
        .unwrap_or(&no_table);
    let denies = |list: &str, text: &str| texts(deny, list).any(|it| fits(it, text));
    if denies("subjects", &caller.subject)
        || caller
            .token_id
            .as_ref()
            .is_some_and(|it| denies("token_ids", it))
        || denies("issuers", &caller.issuer)
        || texts(deny, "rpcs")
            .any(|it| fits(it, &method.method) || fits(it, short) || fits(it, method.short()))
        || (is_vendors && texts(deny, "upstreams").any(|it| covers(it, provider, upstream)))
        || (is_vendors && upstream.is_some_and(|it| it.split('/').next() != Some(provider)))
    {
        return None;
    }
    if method.permissions.is_empty() {
        return Some(Vec::new());
    }
    let no_grants = Vec::new();
    let grants = file.get("grants").and_then(Value::as_array);
    let grants = grants
        .unwrap_or(&no_grants)
        .iter()
        .map(|it| it.as_table().unwrap());
    let held = grants.filter(|it| is_for(it, caller)).map(|it| {
        let name = it["role"].as_str().unwrap();
        file["roles"][name].as_table().unwrap()
    });
    let permits = |role: &&Table| {
        let has = |it: &str| it == "*" || method.permissions.iter().any(|one| one == it);
        let mut upstreams = texts(role, "upstreams");
        let is_there = !role.contains_key("upstreams")
            || upstreams.any(|it| match upstream {
                Some(name) => covers(it, provider, Some(name)),
                None => fits(it.split('/').next().unwrap(), provider),
            });
        texts(role, "permissions").any(has) && (is_there || !is_vendors)
    };
    let roles: Vec<_> = held.filter(permits).collect();
    (!roles.is_empty()).then_some(roles)
}

fn is_for(grant: &Table, caller: &Caller) -> bool {
    let text = |name: &str| grant.get(name).and_then(Value::as_str);
    let lower = |it: &str| match it.contains("://") {
        true => it.to_owned(),
        false => it.to_ascii_lowercase(),
    };
    let claim = text("claim").is_some_and(|it| caller.claims.iter().any(|own| own == it));
    let subject = text("subject").is_some_and(|it| fits(it, &caller.subject));
    (claim || subject)
        && text("issuer").is_none_or(|it| it == caller.issuer)
        && text("certificate").is_none_or(|it| {
            let mut names = caller.certificate_names.iter();
            names.any(|name| fits(&lower(it), &lower(name)))
        })
}

/// Whether a pattern of upstreams fits one, or all of a vendor.
fn covers(pattern: &str, provider: &str, upstream: Option<&str>) -> bool {
    let mut parts = pattern.split('/');
    match upstream {
        _ if pattern == "*" => true,
        Some(name) => name
            .split('/')
            .all(|it| parts.next().is_none_or(|part| fits(part, it))),
        None => {
            let first = parts.next().unwrap();
            fits(first, provider) && parts.all(|it| it.bytes().all(|it| it == b'*'))
        }
    }
}

fn touches(role: &Table, call: &Call) -> bool {
    let any = role.get("keys").and_then(Value::as_str) == Some("any");
    (any || call.own) && names(role, call.name.as_deref())
}

fn names(role: &Table, name: Option<&str>) -> bool {
    let all = |it: &str| it.bytes().all(|it| it == b'*');
    !role.contains_key("names")
        || texts(role, "names").any(|it| all(it) || name.is_some_and(|name| fits(it, name)))
}

fn scopes(role: &Table, call: &Call) -> bool {
    match &call.scopes {
        None => is_set(role, "allow_unscoped"),
        Some(all) => {
            let mut all = all.iter();
            all.all(|scope| texts(role, "max_scopes").any(|it| fits(it, scope)))
        }
    }
}

fn is_set(role: &Table, name: &str) -> bool {
    role.get(name).and_then(Value::as_bool) == Some(true)
}

fn texts<'t>(table: &'t Table, name: &str) -> impl Iterator<Item = &'t str> {
    let list = table.get(name).and_then(Value::as_array);
    list.into_iter().flatten().map(|it| it.as_str().unwrap())
}

/// Whether a text fits a pattern: where each letter of the pattern can have got to.
fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<_> = text.chars().collect();
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for letter in pattern.chars() {
        let mut next = vec![false; ends.len()];
        for at in (0..ends.len()).filter(|at| ends[*at]) {
            match letter {
                '*' => next[at..].fill(true),
                letter if text.get(at) == Some(&letter) => next[at + 1] = true,
                _ => {}
            }
        }
        ends = next;
    }
    ends[text.len()]
}
