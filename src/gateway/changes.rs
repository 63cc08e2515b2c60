//! What a change sets, as the trail holds it: fingerprints of settings, from which
//! it can be told later whether a key has them.
//!
//! Two values that differ in the order of lists or members, in members that are
//! null, or in space around texts are taken for the same: upstream may write down
//! what it was given in its own way.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use crate::audit::{Change, Fingerprint, Trail};

/// The settings that a request gives.
pub(super) fn of(sets: &[(String, Value)], trail: &Trail) -> Vec<Change> {
    let changes = sets.iter().map(|(setting, value)| Change {
        setting: setting.clone(),
        to: trail.fingerprint(&written(setting, value)),
        from: None,
    });
    changes.collect()
}

/// The fingerprint of what a setting is.
pub(super) fn before(setting: &str, value: &RawValue, trail: &Trail) -> Option<Fingerprint> {
    let value = serde_json::from_str(value.get()).ok()?;
    Some(trail.fingerprint(&written(setting, &value)))
}

/// Whether a key is as a change wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is.
    Made,
    /// It is not.
    NotMade,
    /// Neither that nor what it was.
    Untold,
}

/// Whether a key has the settings that were to be changed. `now` tells what it has.
pub(super) fn judge<'k>(
    changes: &[Change],
    now: impl Fn(&str) -> Option<&'k RawValue>,
    trail: &Trail,
) -> Verdict {
    let (mut made, mut missing, mut odd) = (false, false, changes.is_empty());
    for Change { setting, to, from } in changes {
        let raw = now(setting);
        let value: Option<Value> = raw.and_then(|it| serde_json::from_str(it.get()).ok());
        let Some(value) = value else {
            odd = true; // it does not show
            continue;
        };
        let all = trail.fingerprints(&written(setting, &value));
        match from {
            // it was so before: that says nothing
            Some(from) if from == to && all.contains(to) => {}
            _ if all.contains(to) => made |= from.is_some(),
            Some(from) if all.contains(from) => missing = true,
            None if is_plain(&value) => missing = true,
            _ => odd = true,
        }
    }
    match (made, missing, odd) {
        (true, true, _) | (_, _, true) => Verdict::Untold,
        (_, true, false) => Verdict::NotMade,
        (_, false, false) => Verdict::Made,
    }
}

/// Whether upstream can hardly write a value in another way: a text, a number, a
/// truth, or a list of them.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().all(|it| !it.is_array() && is_plain(it)),
        Value::Object(_) => false,
        _ => true,
    }
}

fn written(setting: &str, value: &Value) -> String {
    format!("{setting}={}", canonical(value))
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<_> = elements.iter().map(canonical).collect();
            elements.sort();
            format!("[{}]", elements.join(","))
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(_, it)| !it.is_null());
            let members: BTreeMap<_, _> = members.map(|(name, it)| (name, canonical(it))).collect();
            let members = members.iter().map(|(name, it)| {
                let name = Value::String((*name).clone());
                format!("{name}:{it}")
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::String(text) => Value::String(text.trim().to_owned()).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::{
        audit::{Location, ORIGIN, Settings},
        clock::Clock,
        random::Random,
    };

    fn verdict(trail: &Trail, before: Option<Value>, sets: &Value, now: &Value) -> Verdict {
        let pairs = |it: &Value| -> Vec<(String, Value)> {
            let members = it.as_object().unwrap().iter();
            members
                .map(|(name, it)| (name.clone(), it.clone()))
                .collect()
        };
        let raw = |it: &Value, name: &str| it.get(name).map(|it| to_raw_value(it).unwrap());
        let mut changes = of(&pairs(sets), trail);
        for change in &mut changes {
            let value = before.as_ref().and_then(|it| raw(it, &change.setting));
            change.from = value.and_then(|it| super::before(&change.setting, &it, trail));
        }
        let now: Vec<_> = pairs(now)
            .into_iter()
            .map(|(name, it)| (name, to_raw_value(&it).unwrap()))
            .collect();
        let seen = |name: &str| {
            let found = now.iter().find(|(it, _)| it == name);
            found.map(|(_, raw)| &**raw)
        };
        judge(&changes, seen, trail)
    }

    #[tokio::test]
    async fn a_key_is_held_against_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            store: Location::Sqlite(folder.path().join("trail.db")),
            origin: ORIGIN.to_owned(),
            signer: None,
        };
        let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
        let (made, not, untold) = (Verdict::Made, Verdict::NotMade, Verdict::Untold);
        for (before, sets, now, expected) in [
            (None, json!({"name": "b"}), json!({"name": " b"}), made),
            (None, json!({"name": "b"}), json!({"name": "a"}), not),
            (None, json!({"name": "b"}), json!({}), untold),
            (None, json!({}), json!({"name": "a"}), untold),
            // one that was so already says nothing; the other does
            (
                None,
                json!({"name": "a", "on": true}),
                json!({"name": "a", "on": false}),
                not,
            ),
            (
                None,
                json!({"s": ["x", "y"]}),
                json!({"s": ["y", "x"]}),
                made,
            ),
            (None, json!({"s": null}), json!({"s": ["x"]}), not),
            (None, json!({"s": ["x"]}), json!({"s": null}), not),
            (None, json!({"s": null}), json!({"s": null}), made),
            // upstream may have added to it
            (
                None,
                json!({"p": [{"a": 1}]}),
                json!({"p": [{"a": 1, "b": 2}]}),
                untold,
            ),
            (
                None,
                json!({"p": [{"a": 1}]}),
                json!({"p": [{"b": null, "a": 1}]}),
                made,
            ),
            (
                Some(json!({"p": [{"z": 1}]})),
                json!({"p": [{"a": 1}]}),
                json!({"p": [{"z": 1}]}),
                not,
            ),
            // somebody has changed it since
            (
                Some(json!({"name": "a"})),
                json!({"name": "b"}),
                json!({"name": "c"}),
                untold,
            ),
            (
                Some(json!({"name": "a", "on": false})),
                json!({"name": "b", "on": true}),
                json!({"name": "b", "on": false}),
                untold,
            ),
            (
                Some(json!({"name": "a"})),
                json!({"name": "a"}),
                json!({"name": "a"}),
                made,
            ),
        ] {
            let told = verdict(&trail, before.clone(), &sets, &now);
            assert_eq!(told, expected, "{before:?} {sets} {now}");
        }
        trail.close().await.unwrap();
    }
}
