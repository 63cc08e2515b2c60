//! Pages by cursor, of a list that is sorted newest first: a page begins behind
//! the id that the page before ended with.
//!
//! What is made meanwhile comes before everything that is still to be read, and
//! what is removed leaves the rest in its order. But the very resource that the
//! cursor names may be removed: upstream then refuses it, or finds nothing behind
//! it. So where nothing is found behind a full page, the id before is tried, and so
//! on; the last way out is to begin anew.

use std::collections::HashSet;

use super::{Facts, Walk};

/// How pages are asked for by the last id of the page before.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// How much a page holds.
    pub size: u64,
    /// The query of a page: its size, and the id that it begins behind.
    pub query: fn(Option<&str>) -> String,
}

/// The walk.
#[derive(Debug)]
pub(super) struct Forward {
    paging: Cursor,
    /// The ids read so far, in their order: the last one is the next cursor.
    trail: Vec<String>,
    /// The same, to know again.
    known: HashSet<String>,
    /// Whether there may be more.
    more: bool,
    /// Whether anything new came since the walk began, or began anew.
    fresh: bool,
}

impl Forward {
    pub(super) fn new(paging: Cursor) -> Self {
        Self {
            paging,
            trail: Vec::new(),
            known: HashSet::new(),
            more: true,
            fresh: false,
        }
    }

    /// The last cursor leads nowhere. Whether there is another way.
    fn go_back(&mut self) -> bool {
        self.more = match self.trail.pop() {
            None => false,
            Some(_) if !self.trail.is_empty() => true,
            Some(_) => std::mem::take(&mut self.fresh),
        };
        self.more
    }
}

impl Walk for Forward {
    fn next(&mut self) -> Option<String> {
        let cursor = self.trail.last().map(String::as_str);
        self.more.then(|| (self.paging.query)(cursor))
    }

    fn read(&mut self, page: &Facts) -> bool {
        if page.ids.is_empty() {
            self.go_back();
            return false;
        }
        let is_first = self.trail.is_empty();
        let mut brings_new = false;
        for id in &page.ids {
            brings_new |= self.known.insert(id.clone());
            self.trail.push(id.clone());
        }
        // upstream may not heed the cursor at all
        self.more = (brings_new || is_first) && page.ids.len() as u64 >= self.paging.size;
        self.fresh |= brings_new;
        true
    }

    fn refused(&mut self) -> bool {
        self.go_back()
    }

    fn is_backward(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens between two reads.
    #[derive(Clone, Debug)]
    enum Change {
        Make,
        Remove(prop::sample::Index),
        /// Of those that have been read last.
        RemoveRead(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            Just(Change::Make),
            any::<prop::sample::Index>().prop_map(Change::Remove),
            (1_usize..4).prop_map(Change::RemoveRead),
        ]
    }

    proptest! {
        #[test]
        fn what_is_there_all_along_comes(
            count in 0_u64..20,
            changes in prop::collection::vec(prop::option::of(change()), 0..40),
            refuses in any::<bool>(),
        ) {
            // newest first
            let mut list: Vec<u64> = (0..count).rev().collect();
            let (mut lasting, mut made) = (list.clone(), count);
            let paging = Cursor { size: 3, query: |it| it.unwrap_or_default().to_owned() };
            let (mut walk, mut changes) = (Forward::new(paging), changes.into_iter());
            let (mut seen, mut reads) = (Vec::new(), 0);
            while let Some(cursor) = walk.next() {
                reads += 1;
                prop_assert!(reads < 500);
                let after = match cursor.parse::<u64>() {
                    Err(_) => Some(0),
                    Ok(cursor) => list.iter().position(|it| *it == cursor).map(|it| it + 1),
                };
                let rest = after.map(|it| &list[it..]);
                if rest.is_none() && refuses {
                    if walk.refused() {
                        continue;
                    }
                    break;
                }
                let page: Vec<_> = rest.unwrap_or_default().iter().take(3).copied().collect();
                let ids = page.iter().map(u64::to_string).collect();
                if walk.read(&Facts { ids, total: None }) {
                    seen.extend(page);
                }
                let remove = |list: &mut Vec<u64>, lasting: &mut Vec<u64>, gone| {
                    list.retain(|it| *it != gone);
                    lasting.retain(|it| *it != gone);
                };
                match changes.next().flatten() {
                    None => {}
                    Some(Change::Make) => {
                        list.insert(0, made);
                        made += 1;
                    }
                    Some(Change::Remove(at)) if !list.is_empty() => {
                        let gone = list[at.index(list.len())];
                        remove(&mut list, &mut lasting, gone);
                    }
                    Some(Change::Remove(_)) => {}
                    Some(Change::RemoveRead(count)) => {
                        for gone in seen.iter().rev().take(count) {
                            remove(&mut list, &mut lasting, *gone);
                        }
                    }
                }
            }
            let missed: Vec<_> = lasting.iter().filter(|it| !seen.contains(it)).collect();
            prop_assert!(missed.is_empty(), "{missed:?} of {lasting:?} in {seen:?}");
        }
    }

    #[test]
    fn an_upstream_that_does_not_heed_the_cursor_ends_the_walk() {
        let paging = Cursor {
            size: 1,
            query: |_| String::new(),
        };
        let mut walk = Forward::new(paging);
        let mut reads = 0;
        while walk.next().is_some() {
            let ids = vec!["1".to_owned()];
            walk.read(&Facts { ids, total: None });
            reads += 1;
        }
        assert_eq!(reads, 2);
    }
}
