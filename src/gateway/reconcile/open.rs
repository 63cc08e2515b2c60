//! The calls that are open, and which of them is to be looked for next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{SKEW, case::Case, decide::Times, look::APART};
use crate::{audit::Position, gateway::trace::Sought, random::Random};

/// How many groups are looked for at once at one upstream.
const AT_ONCE: usize = 8;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// Calls that are decided together: those that were to make a key of the same type
/// and name in the same place. All others stand alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Making {
        upstream: Option<String>,
        resource_type: String,
        parent: Option<String>,
        name: String,
    },
    Alone(Position),
}

/// The calls that are open.
#[derive(Debug, Default)]
pub(super) struct Open {
    groups: BTreeMap<Key, Members>,
    newest: Option<Position>,
}

#[derive(Debug, Default)]
struct Members {
    cases: BTreeMap<Position, Arc<Case>>,
    /// How often it could not be told.
    failures: u32,
    /// Not before.
    next: Option<SystemTime>,
    is_busy: bool,
}

/// A group that is looked for.
#[derive(Debug)]
pub(super) struct Group {
    key: Key,
    /// Its calls that can be decided, at least one.
    pub(super) due: Vec<Arc<Case>>,
    /// The others.
    rest: Vec<Arc<Case>>,
}

impl Open {
    /// How many calls there are.
    pub(super) fn count(&self) -> usize {
        self.groups.values().map(|it| it.cases.len()).sum()
    }

    /// Where the newest outcome is that was ever taken in.
    pub(super) fn newest(&self) -> Option<Position> {
        self.newest
    }

    /// Takes in a call, which may have made a key.
    pub(super) fn add(&mut self, case: Case, makes: bool) {
        self.newest = self.newest.max(Some(case.position));
        let key = match case.name().filter(|_| makes) {
            Some(name) => Key::Making {
                upstream: case.outcome.upstream.clone(),
                resource_type: case.resource_type().to_owned(),
                parent: case.parent().map(str::to_owned),
                name: name.to_owned(),
            },
            None => Key::Alone(case.position),
        };
        let group = self.groups.entry(key).or_default();
        group.cases.insert(case.position, Arc::new(case));
    }

    /// Groups that can be looked for now: those first that failed least.
    pub(super) fn ready(&mut self, now: SystemTime, settling: Duration) -> Vec<Group> {
        let is_due = |case: &Case| case.unknown + settling <= now;
        let mut busy: HashMap<Option<String>, usize> = HashMap::new();
        for group in self.groups.values().filter(|it| it.is_busy) {
            *busy.entry(group.upstream()).or_default() += 1;
        }
        let mut ready: Vec<_> = self
            .groups
            .iter_mut()
            .filter(|(_, it)| !it.is_busy && it.next.is_none_or(|next| next <= now))
            .filter(|(_, it)| it.cases.values().any(|it| is_due(it)))
            .collect();
        ready.sort_by_key(|(_, it)| (it.failures, it.cases.keys().next().copied()));
        let mut groups = Vec::new();
        for (key, members) in ready {
            let busy = busy.entry(members.upstream()).or_default();
            if *busy >= AT_ONCE {
                continue;
            }
            *busy += 1;
            members.is_busy = true;
            let cases = members.cases.values().cloned();
            let (due, rest) = cases.partition(|it| is_due(it));
            groups.push(Group {
                key: key.clone(),
                due,
                rest,
            });
        }
        groups
    }

    /// These calls of a group have been settled.
    pub(super) fn settle(&mut self, group: &Group, settled: impl Iterator<Item = Position>) {
        let Some(members) = self.groups.get_mut(&group.key) else {
            return;
        };
        for position in settled {
            members.cases.remove(&position);
        }
        (members.is_busy, members.failures, members.next) = (false, 0, None);
        if members.cases.is_empty() {
            self.groups.remove(&group.key);
        }
    }

    /// Upstream could not tell.
    pub(super) fn postpone(&mut self, group: &Group, now: SystemTime, random: &Random) {
        if let Some(members) = self.groups.get_mut(&group.key) {
            let backoff = FIRST_BACKOFF * 2_u32.pow(members.failures.min(4));
            let backoff = backoff.min(LONGEST_BACKOFF);
            members.next = Some(now + backoff.mul_f64(0.5 + random.fraction() / 2.0));
            members.failures += 1;
            members.is_busy = false;
        }
    }
}

impl Members {
    fn upstream(&self) -> Option<String> {
        self.cases.values().next()?.outcome.upstream.clone()
    }
}

impl Group {
    /// All of its calls: first those that are due.
    pub(super) fn cases(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.due.iter().chain(&self.rest)
    }

    /// The call at a place among [`Self::cases`].
    pub(super) fn case(&self, at: usize) -> &Arc<Case> {
        let rest = at.checked_sub(self.due.len());
        rest.map_or_else(|| &self.due[at], |at| &self.rest[at])
    }

    /// What is looked for: for all of them at once.
    pub(super) fn sought<'a>(&'a self, upstream: &'a str) -> Sought<'a> {
        let first = self.case(0);
        Sought {
            upstream,
            id: first.id(),
            name: first.name().filter(|it| !crate::audit::is_cut(it)),
            parent: first.parent(),
            // by upstream's clock, which is not known yet
            from: self.from() - APART,
            to: self.cases().map(|it| it.to()).max().unwrap_or(first.to()) + APART,
        }
    }

    /// When the first of them can have had an effect.
    pub(super) fn from(&self) -> SystemTime {
        let from = self.cases().map(|it| it.from()).min();
        from.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The times of [`Self::cases`].
    pub(super) fn times(&self, settling: Duration) -> Vec<Times> {
        let times = self.cases().enumerate().map(|(at, case)| Times {
            from: case.from(),
            soon: case.to().min(case.begun + settling + SKEW),
            to: case.to(),
            is_due: at < self.due.len(),
            is_named: case.name().is_some(),
        });
        times.collect()
    }
}
