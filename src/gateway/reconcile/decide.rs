//! Which of the keys that are there was made by which call.
//!
//! A call has made a key if there is exactly one that it can have made, and no
//! other call that can have made the same. It has made none if there is none.
//! Everything else is ambiguous, and stays so: calls that contend for a key are
//! decided together, so that one of them does not look like its only maker later.

use std::time::SystemTime;

/// A call that was to make a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When upstream can have made the key: at the earliest, and by when it has if it
    /// did so in the time that a call has.
    pub(super) from: SystemTime,
    pub(super) soon: SystemTime,
    /// At the latest.
    pub(super) to: SystemTime,
    /// Whether it can be decided about it.
    pub(super) is_due: bool,
    /// Whether it said what the key is to be named.
    pub(super) is_named: bool,
}

/// A key that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// When it was made, where upstream tells.
    pub(super) created: Option<SystemTime>,
    /// Whether it was not there before, as far as that is known.
    pub(super) is_new: bool,
}

/// What is decided about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It made this key.
    Applied(usize),
    /// It made none.
    NotApplied,
    /// That can't be told, for this reason.
    Ambiguous(String),
}

impl Times {
    /// Whether the call can have made a key.
    fn may_have_made(&self, candidate: &Candidate) -> bool {
        // one that is not new may have been there before, whatever its time
        !candidate.is_new
            || candidate
                .created
                .is_none_or(|it| (self.from..=self.to).contains(&it))
    }

    /// Whether it is the one to have made it, if there is only this one.
    fn fits(&self, candidate: &Candidate) -> bool {
        let made = candidate.created;
        self.is_named
            && candidate.is_new
            && made.is_some_and(|it| (self.from..=self.soon).contains(&it))
    }
}

/// Decides about the calls that are due, and about others that contend with them;
/// all were to make a key of the same name. Calls are told by their places.
pub(super) fn made(calls: &[Times], there: &[Candidate]) -> Vec<(usize, Decision)> {
    let edges = |call: usize| -> Vec<usize> {
        let places = 0..there.len();
        places
            .filter(|it| calls[call].may_have_made(&there[*it]))
            .collect()
    };
    let edges: Vec<Vec<usize>> = (0..calls.len()).map(edges).collect();
    let contends = |one: usize, other: usize| {
        one != other && edges[one].iter().any(|it| edges[other].contains(it))
    };
    let (mut decided, mut contested) = (Vec::new(), Vec::new());
    for (at, call) in calls.iter().enumerate().filter(|(_, it)| it.is_due) {
        let rivals = (0..calls.len()).filter(|other| contends(at, *other));
        match edges[at].as_slice() {
            [] => decided.push((at, Decision::NotApplied)),
            [only] if call.fits(&there[*only]) && rivals.count() == 0 => {
                decided.push((at, Decision::Applied(*only)));
            }
            _ => contested.push(at),
        }
    }
    // whoever contends with one of them, is due or not, can never be told from it
    let mut next = 0;
    while let Some(at) = contested.get(next).copied() {
        let more = (0..calls.len()).filter(|other| contends(at, *other));
        let more: Vec<_> = more.filter(|it| !contested.contains(it)).collect();
        contested.extend(more);
        next += 1;
    }
    let ambiguous = contested.into_iter().map(|at| {
        let rivals = (0..calls.len()).filter(|other| contends(at, *other));
        let reason = reason(&calls[at], &edges[at], there, rivals.count());
        (at, Decision::Ambiguous(reason))
    });
    decided.extend(ambiguous);
    decided
}

/// Why it can't be told.
fn reason(call: &Times, edges: &[usize], there: &[Candidate], rivals: usize) -> String {
    match edges {
        _ if rivals > 0 => format!("{} calls may have made the same key", rivals + 1),
        [only] if !call.is_named => {
            let _ = only;
            "a key was made in that time, but the call gave it no name".to_owned()
        }
        [only] if !there[*only].is_new => {
            "a key of this name was there, and upstream does not tell whether it was replaced"
                .to_owned()
        }
        [only] if there[*only].created.is_none() => {
            "there is a key of this name, and upstream does not tell when it was made".to_owned()
        }
        [_] => "a key of this name was made later than the call can have made it".to_owned(),
        several => format!("{} keys may be the one that was made", several.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// A call that began then and was given up then.
    fn call(from: u64, to: u64) -> Times {
        Times {
            from: at(from),
            soon: at(to.min(from + 10)),
            to: at(to),
            is_due: true,
            is_named: true,
        }
    }

    fn key(created: u64) -> Candidate {
        Candidate {
            created: Some(at(created)),
            is_new: true,
        }
    }

    fn words(calls: &[Times], there: &[Candidate]) -> Vec<&'static str> {
        let mut words = vec!["open"; calls.len()];
        for (at, decision) in made(calls, there) {
            words[at] = match decision {
                Decision::Applied(_) => "applied",
                Decision::NotApplied => "not",
                Decision::Ambiguous(_) => "ambiguous",
            };
        }
        words
    }

    #[test]
    fn one_call_and_what_it_finds() {
        let one = call(100, 105);
        assert_eq!(made(&[one], &[key(102)]), [(0, Decision::Applied(0))]);
        assert_eq!(words(&[one], &[]), ["not"]);
        // before and after its time
        assert_eq!(words(&[one], &[key(99), key(106)]), ["not"]);
        assert_eq!(words(&[one], &[key(99), key(105)]), ["applied"]);
        assert_eq!(words(&[one], &[key(101), key(102)]), ["ambiguous"]);
        let undated = Candidate {
            created: None,
            ..key(0)
        };
        assert_eq!(words(&[one], &[undated]), ["ambiguous"]);
        // one that the trail knows, where it may have been replaced
        let known = Candidate {
            is_new: false,
            ..key(50)
        };
        assert_eq!(words(&[one], &[known]), ["ambiguous"]);
        let nameless = Times {
            is_named: false,
            ..one
        };
        assert_eq!(words(&[nameless], &[key(102)]), ["ambiguous"]);
        assert_eq!(words(&[nameless], &[]), ["not"]);
    }

    #[test]
    fn after_a_long_outage_a_late_key_may_be_anybodys() {
        let one = call(100, 5_000);
        assert_eq!(words(&[one], &[key(109)]), ["applied"]);
        assert_eq!(words(&[one], &[key(3_000)]), ["ambiguous"]);
        assert_eq!(words(&[one], &[key(109), key(3_000)]), ["ambiguous"]);
    }

    #[test]
    fn calls_that_contend_are_decided_together() {
        let (a, b, c) = (call(100, 110), call(105, 115), call(112, 120));
        let not_due = |it: Times| Times {
            is_due: false,
            ..it
        };
        // each has its own
        assert_eq!(
            words(&[a, c], &[key(101), key(118)]),
            ["applied", "applied"]
        );
        // one for two
        assert_eq!(words(&[a, b], &[key(107)]), ["ambiguous", "ambiguous"]);
        assert_eq!(
            words(&[a, not_due(b)], &[key(107)]),
            ["ambiguous", "ambiguous"]
        );
        // the third contends with the second only
        let there = [key(107), key(113)];
        assert_eq!(
            words(&[a, not_due(b), not_due(c)], &there),
            ["ambiguous"; 3]
        );
        // nobody else can have made it
        assert_eq!(words(&[a, not_due(c)], &[key(101)]), ["applied", "open"]);
        assert_eq!(words(&[a, not_due(b)], &[]), ["not", "open"]);
        assert_eq!(words(&[not_due(a)], &[key(101)]), ["open"]);
    }

    proptest! {
        #[test]
        fn whoever_is_said_to_have_made_a_key_is_the_only_one_that_can_have(
            calls in prop::collection::vec((0_u64..40, 0_u64..12, any::<bool>()), 1..6),
            keys in prop::collection::vec((0_u64..60, any::<bool>()), 0..6),
        ) {
            let calls: Vec<_> = calls.into_iter().map(|(from, took, is_due)| {
                Times { is_due, ..call(from, from + took) }
            }).collect();
            let there: Vec<_> = keys.into_iter().map(|(created, is_new)| {
                Candidate { is_new, ..key(created) }
            }).collect();
            let decided = made(&calls, &there);
            for (at, call) in calls.iter().enumerate() {
                let all: Vec<_> = decided.iter().filter(|(it, _)| *it == at).collect();
                prop_assert!(all.len() <= 1 && (all.len() == 1 || !call.is_due));
                let may: Vec<_> = (0..there.len()).filter(|it| call.may_have_made(&there[*it])).collect();
                match all.first().map(|(_, it)| it) {
                    Some(Decision::Applied(key)) => {
                        prop_assert_eq!(&may, &[*key]);
                        let makers = calls.iter().filter(|it| it.may_have_made(&there[*key]));
                        prop_assert_eq!(makers.count(), 1);
                        prop_assert!(there[*key].is_new);
                    }
                    Some(Decision::NotApplied) => prop_assert!(may.is_empty()),
                    Some(Decision::Ambiguous(_)) => prop_assert!(!may.is_empty()),
                    None => {
                        // what is left open contends with none that is decided
                        for (other, decision) in &decided {
                            let shared = may.iter().any(|it| calls[*other].may_have_made(&there[*it]));
                            prop_assert!(!shared || matches!(decision, Decision::NotApplied));
                        }
                    }
                }
            }
        }
    }
}
